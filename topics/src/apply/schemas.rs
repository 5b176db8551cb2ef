//! The schemas of this build in the registry.

use anyhow::{Context, Result, bail};
use brokerx_schemas::SCHEMAS;

use crate::codec::{Registry, subject_of};

/// Old and new readers understand old and new records, of all versions.
pub(super) const COMPATIBILITY: &str = "FULL_TRANSITIVE";

/// Registers what is missing. Returns how many subjects were changed.
///
/// The rule is set per subject, so that a registry that others use as well keeps its own default. A
/// subject gets it before a second version can, and right after the first.
pub(super) async fn apply(registry: &Registry) -> Result<usize> {
    let mut changed = 0;
    for (topic, schema) in SCHEMAS {
        let subject = subject_of(topic);
        if apply_one(registry, &subject, schema)
            .await
            .with_context(|| format!("subject {subject}"))?
        {
            changed += 1;
        }
    }
    Ok(changed)
}

async fn apply_one(registry: &Registry, subject: &str, schema: &str) -> Result<bool> {
    let mut changed = false;
    let exists = registry.latest(subject).await?.is_some();
    if exists && registry.compatibility(subject).await?.as_deref() != Some(COMPATIBILITY) {
        tracing::info!("{subject}: setting compatibility {COMPATIBILITY}");
        registry.set_compatibility(subject, COMPATIBILITY).await?;
        changed = true;
    }
    if registry.id_of(subject, schema).await?.is_none() {
        let id = registry.register(subject, schema).await?;
        tracing::info!("{subject}: registered as schema {id}");
        changed = true;
    }
    if !exists {
        registry.set_compatibility(subject, COMPATIBILITY).await?;
    }
    match registry.compatibility(subject).await? {
        Some(level) if level == COMPATIBILITY => Ok(changed),
        level => bail!("the registry does not keep compatibility {COMPATIBILITY}: it says {level:?}"),
    }
}
