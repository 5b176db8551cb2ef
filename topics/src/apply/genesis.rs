//! The first record of every inbox partition.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use brokerx_schemas::{Config, Genesis, TopicPartitions};
use uuid::Uuid;

use super::cluster::{Cluster, Shape};
use super::inbox::{self, ControlRecord};
use super::notebook::Note;
use super::options::ClusterOptions;
use crate::catalogue::all;
use crate::codec::Codec;
use crate::machine::LOGIC_VERSION;

/// Writes the genesis of inbox partitions that are empty. Returns how many those were, and the
/// configuration in the genesis. The caller holds the lock.
///
/// Of a log that begins here it is noted what its inboxes have, so that a change of the configuration need not read
/// them.
///
/// # Errors
/// When partitions have different geneses, or one that contradicts the catalogue.
pub(super) async fn apply(
    cluster: &Cluster,
    options: &ClusterOptions,
    codec: &Codec,
    config: &Config,
) -> Result<Option<(usize, Config)>> {
    let mut empty = Vec::new();
    let mut found: Option<Genesis> = None;
    for inbox in inbox::all(cluster)? {
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
    let topics = topic_partitions(&cluster.shapes()?);
    if let Some(genesis) = &found {
        check_counts(genesis, &topics)?;
    }
    if empty.is_empty() {
        return Ok(None);
    }
    let begins = found.is_none();
    if let Some(genesis) = &found {
        // A partition that was made anew has only the genesis, whatever is noted of it.
        Note::forget(&genesis.log_id, cluster, options).await?;
    }
    // An earlier run that was cut short decided: all partitions get the same genesis.
    let genesis = found.unwrap_or_else(|| first_genesis(config, topics));
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
    // What an earlier run began may have been changed since.
    if begins
        && let Err(error) = Note::of_genesis(&genesis, inbox::all(cluster)?)
            .write_seeded(cluster, options)
            .await
    {
        tracing::warn!("the first change of the configuration will read the whole inboxes: {error:#}");
    }
    Ok(Some((empty.len(), genesis.config)))
}

/// The topics that a log was made for keep their partitions for ever. A topic of a later release, which the
/// log does not name, is none that its machines write to.
fn check_counts(genesis: &Genesis, cluster: &[TopicPartitions]) -> Result<()> {
    let differs = genesis.topics.iter().find(|topic| !cluster.contains(topic));
    match differs {
        None => Ok(()),
        Some(TopicPartitions { topic, partitions }) => bail!(
            "log {} was made for {partitions} partitions of {topic}, which is not what the cluster has: they never \
             change",
            genesis.log_id
        ),
    }
}

fn first_genesis(config: &Config, topics: Vec<TopicPartitions>) -> Genesis {
    Genesis {
        log_id: Uuid::new_v4().to_string(),
        generation: 0,
        logic_version: LOGIC_VERSION,
        config_version: 1,
        config: config.clone(),
        topics,
    }
}

/// The partition counts of the catalogue's topics in a cluster.
pub(super) fn topic_partitions(shapes: &BTreeMap<String, Shape>) -> Vec<TopicPartitions> {
    let counted = all().iter().filter_map(|topic| {
        Some(TopicPartitions {
            topic: topic.name.clone(),
            partitions: shapes.get(&topic.name)?.partitions,
        })
    });
    counted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Topic;

    #[test]
    fn a_log_keeps_the_partitions_that_it_was_made_for_and_a_release_may_add_topics() {
        let counted = |topic: &Topic| TopicPartitions {
            topic: topic.name.clone(),
            partitions: topic.count(2),
        };
        let mut later: Vec<_> = all().iter().map(counted).collect();
        let genesis = first_genesis(&Config::default(), later.clone());
        later.push(TopicPartitions {
            topic: "of-a-later-release".to_owned(),
            partitions: 3,
        });
        assert!(check_counts(&genesis, &later).is_ok());
        later[0].partitions += 1;
        assert!(check_counts(&genesis, &later).is_err());
        later.remove(0);
        assert!(check_counts(&genesis, &later).is_err(), "a topic is gone");
    }
}
