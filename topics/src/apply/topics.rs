//! Topics that are missing or strayed from the catalogue.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::cluster::Cluster;
use super::options::ClusterOptions;
use crate::catalogue::{Topic, all};

/// Makes and alters topics. Returns how many were made, and how many altered.
///
/// # Errors
/// When a topic has another partition count: keys would move, so that is never mended in place.
pub(super) async fn apply(cluster: &Cluster, options: &ClusterOptions) -> Result<(usize, usize)> {
    let shapes = cluster.shapes()?;
    let (existing, missing): (Vec<&Topic>, Vec<&Topic>) =
        all().iter().partition(|topic| shapes.contains_key(&topic.name));
    for topic in &existing {
        let found = shapes[&topic.name].partitions;
        if found != topic.partitions {
            bail!(
                "topic {} has {found} partitions, the catalogue says {}: the count of a topic never changes",
                topic.name,
                topic.partitions
            );
        }
    }
    let mut made = 0;
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|topic| topic.name.as_str()).collect();
        tracing::info!("making {} topics: {}", names.len(), names.join(", "));
        made = cluster
            .create(&missing, options.replication_factor, options.min_insync_replicas)
            .await?;
    }
    Ok((made, align(cluster, &existing, options).await?))
}

async fn align(cluster: &Cluster, existing: &[&Topic], options: &ClusterOptions) -> Result<usize> {
    let mut altered = 0;
    let settings = cluster.settings(existing).await?;
    for topic in existing {
        let Some(found) = settings.get(&topic.name) else {
            bail!("the settings of topic {} cannot be read", topic.name);
        };
        let wanted = topic.settings(options.min_insync_replicas);
        let strayed = wanted
            .iter()
            .filter(|(name, value)| found.get(*name).is_none_or(|setting| setting.value != *value));
        let changes: Vec<_> = strayed.map(|(name, value)| format!("{name}={value}")).collect();
        if !changes.is_empty() {
            tracing::info!("topic {}: setting {}", topic.name, changes.join(", "));
            // What the catalogue does not speak of stays as an operator set it.
            let own = found.iter().filter(|(_, setting)| setting.is_own);
            let mut settings: BTreeMap<_, _> = own
                .map(|(name, setting)| (name.clone(), setting.value.clone()))
                .collect();
            settings.extend(wanted.into_iter().map(|(name, value)| (name.to_owned(), value)));
            cluster.alter(topic, &settings).await?;
            altered += 1;
        }
    }
    Ok(altered)
}
