//! The first record of every inbox partition.

use anyhow::{Result, bail};
use brokerx_schemas::{Config, Genesis, TopicPartitions};
use uuid::Uuid;

use super::cluster::Cluster;
use super::inbox::{ControlRecord, partitions};
use crate::catalogue::all;
use crate::codec::Codec;
use crate::machine::LOGIC_VERSION;

/// Writes the genesis of inbox partitions that are empty. Returns how many those were, and the
/// configuration in the genesis. The caller holds the lock.
///
/// # Errors
/// When partitions have different geneses, or one that contradicts the catalogue.
pub(super) async fn apply(cluster: &Cluster, codec: &Codec, config: &Config) -> Result<Option<(usize, Config)>> {
    let mut empty = Vec::new();
    let mut found: Option<Genesis> = None;
    for inbox in partitions() {
        match (inbox.genesis(cluster, codec).await?, &found) {
            (None, _) => empty.push(inbox),
            (Some(genesis), None) => found = Some(genesis),
            (Some(genesis), Some(first)) if genesis != *first => {
                bail!(
                    "{inbox} belongs to log {}, other inboxes to log {}",
                    genesis.log_id,
                    first.log_id
                )
            }
            (Some(_), Some(_)) => {}
        }
    }
    if let Some(genesis) = &found
        && genesis.topics != topic_partitions()
    {
        bail!(
            "log {} was made for other partition counts than the catalogue's: they never change",
            genesis.log_id
        );
    }
    if empty.is_empty() {
        return Ok(None);
    }
    // An earlier run that was cut short decided: all partitions get the same genesis.
    let genesis = found.unwrap_or_else(|| first_genesis(config));
    tracing::info!(
        "writing the genesis of log {} to {} partitions",
        genesis.log_id,
        empty.len()
    );
    let producer = cluster.producer()?;
    for inbox in &empty {
        let offset = inbox
            .append(&producer, codec, ControlRecord::Genesis(genesis.clone()))
            .await?;
        if offset != 0 {
            bail!(
                "{inbox}: the genesis came to stand at offset {offset}: somebody wrote at the same time; \
                 delete the topic and apply again"
            );
        }
    }
    Ok(Some((empty.len(), genesis.config)))
}

fn first_genesis(config: &Config) -> Genesis {
    Genesis {
        log_id: Uuid::new_v4().to_string(),
        generation: 0,
        logic_version: LOGIC_VERSION,
        config_version: 1,
        config: config.clone(),
        topics: topic_partitions(),
    }
}

/// The partition counts of the catalogue.
pub(super) fn topic_partitions() -> Vec<TopicPartitions> {
    all()
        .iter()
        .map(|topic| TopicPartitions {
            topic: topic.name.clone(),
            partitions: topic.partitions,
        })
        .collect()
}
