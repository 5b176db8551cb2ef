//! Topics that are missing or strayed from the catalogue.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::cluster::Cluster;
use super::options::ClusterOptions;
use crate::catalogue::{Topic, all};

/// Makes and alters topics. Returns how many were made, and how many altered.
///
/// # Errors
/// When a topic has another partition count than it should: keys would move, so that is never mended in place.
pub(super) async fn apply(cluster: &Cluster, options: &ClusterOptions) -> Result<(usize, usize)> {
    let partitions = cluster.partitions_of_log()?.unwrap_or(options.partitions);
    if partitions != options.partitions {
        tracing::info!(
            "the log has {partitions} partitions and keeps them; a new one would have {}",
            options.partitions
        );
    }
    let shapes = cluster.shapes()?;
    let (existing, missing): (Vec<&Topic>, Vec<&Topic>) =
        all().iter().partition(|topic| shapes.contains_key(&topic.name));
    for topic in &existing {
        let (found, expected) = (shapes[&topic.name].partitions, topic.count(partitions));
        if found != expected {
            bail!(
                "topic {} has {found} partitions, not the {expected} that the catalogue says of this log: the count of \
                 a topic never changes",
                topic.name
            );
        }
    }
    let mut made = 0;
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|topic| topic.name.as_str()).collect();
        tracing::info!("making {} topics: {}", names.len(), names.join(", "));
        made = cluster.create(&missing, partitions, options).await?;
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
