//! What is asked of the brokers.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::FutureProducer;
use rdkafka::{Offset, TopicPartitionList};

use super::options::ClusterOptions;
use crate::catalogue::{Topic, inboxes};
use crate::service::{Complaining, Drained, PlatformOptions, backoff, kafka, standing_complaint};

/// One question takes no longer than this.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// As many errors of a client as come while one question is asked.
const ERRORS_AT_ONCE_MAX: usize = 32;
/// A record that is not acknowledged by then is given up.
const SEND_LIMIT: Duration = Duration::from_secs(30);
/// How long the brokers may take until a new topic has leaders.
const LEADERS_LIMIT: Duration = Duration::from_secs(30);

/// A Kafka cluster, from an administrator's view.
pub(super) struct Cluster {
    platform: PlatformOptions,
    admin: AdminClient<DefaultClientContext>,
    /// Asks for metadata and offsets.
    asker: Drained<BaseConsumer<Complaining>>,
    /// Reads partitions one after the other.
    reader: Drained,
}

/// Partition count and least number of copies of a topic that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) partitions: i32,
    pub(super) replicas: i32,
    /// Whether every partition has a leader.
    pub(super) led: bool,
}

/// The settings of a topic by name, defaults included.
pub(super) type Settings = BTreeMap<String, Setting>;

/// One setting of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) value: String,
    /// Set on the topic itself, not the broker's default.
    pub(super) is_own: bool,
}

impl Cluster {
    pub(super) fn new(platform: &PlatformOptions) -> Result<Self> {
        Ok(Self {
            platform: platform.clone(),
            admin: kafka::client_config(platform).create()?,
            asker: kafka::client_config(platform).create_with_context(Complaining)?,
            reader: kafka::consumer_config(platform, "brokerx-topics-read")
                .set("auto.offset.reset", "error")
                // A fetch that waits for one partition would hold up the next.
                .set("fetch.wait.max.ms", "10")
                .create()?,
        })
    }

    /// Whether a broker answers now.
    pub(super) async fn is_there(&self) -> Result<()> {
        let metadata = self.asker.fetch_metadata(None, Duration::from_secs(2));
        // What a client is told beside it is taken in by polls, one each.
        for _ in 0..ERRORS_AT_ONCE_MAX {
            let _ = self.asker.poll(Duration::ZERO);
        }
        let metadata = metadata.map_err(|error| match standing_complaint() {
            Some(words) => anyhow::anyhow!(words),
            None => error.into(),
        })?;
        if metadata.brokers().is_empty() {
            bail!("the cluster has no broker");
        }
        Ok(())
    }

    /// The topics that exist.
    pub(super) fn shapes(&self) -> Result<BTreeMap<String, Shape>> {
        let metadata = self
            .asker
            .fetch_metadata(None, ANSWER_LIMIT)
            .context("the topics cannot be listed")?;
        let shape = |topic: &rdkafka::metadata::MetadataTopic| Shape {
            partitions: topic.partitions().len() as i32,
            replicas: topic
                .partitions()
                .iter()
                .map(|partition| partition.replicas().len() as i32)
                .min()
                .unwrap_or(0),
            led: topic.partitions().iter().all(|partition| partition.leader() >= 0),
        };
        Ok(metadata
            .topics()
            .iter()
            .map(|topic| (topic.name().to_owned(), shape(topic)))
            .collect())
    }

    /// How many partitions the inboxes have; none when there are none yet.
    ///
    /// # Errors
    /// When they have different numbers.
    pub(super) fn partitions_of_log(&self) -> Result<Option<i32>> {
        let shapes = self.shapes()?;
        let mut found: Option<(&str, i32)> = None;
        for topic in inboxes() {
            let Some(shape) = shapes.get(&topic.name) else { continue };
            match found {
                Some((other, count)) if count != shape.partitions => bail!(
                    "{other} has {count} partitions and {} has {}: the inboxes of a log have as many",
                    topic.name,
                    shape.partitions
                ),
                _ => found = Some((&topic.name, shape.partitions)),
            }
        }
        Ok(found.map(|(_, count)| count))
    }

    /// The settings of topics that exist, by topic.
    pub(super) async fn settings(&self, topics: &[&Topic]) -> Result<BTreeMap<String, Settings>> {
        if topics.is_empty() {
            return Ok(BTreeMap::new());
        }
        let asked = topics.iter().map(|topic| ResourceSpecifier::Topic(&topic.name));
        let described = self
            .admin
            .describe_configs(asked.collect::<Vec<_>>().iter(), &admin_options())
            .await?;
        let mut settings = BTreeMap::new();
        for resource in described {
            let resource = resource.map_err(|code| anyhow::anyhow!("settings cannot be read: {code}"))?;
            let OwnedResourceSpecifier::Topic(name) = resource.specifier else {
                continue;
            };
            let entries = resource.entries.into_iter().filter_map(|entry| {
                let is_own = entry.source == ConfigSource::DynamicTopic;
                Some((
                    entry.name,
                    Setting {
                        value: entry.value?,
                        is_own,
                    },
                ))
            });
            settings.insert(name, entries.collect());
        }
        Ok(settings)
    }

    /// Makes the topics of a log whose inboxes have so many partitions, and returns how many. It is no error when
    /// somebody else made one in the meantime.
    pub(super) async fn create(&self, topics: &[&Topic], partitions: i32, options: &ClusterOptions) -> Result<usize> {
        let min_insync = options.min_insync_replicas;
        let settings: Vec<_> = topics.iter().map(|topic| topic.settings(min_insync)).collect();
        let wanted: Vec<_> = topics
            .iter()
            .zip(&settings)
            .map(|(topic, settings)| {
                let new = NewTopic::new(
                    &topic.name,
                    topic.count(partitions),
                    TopicReplication::Fixed(options.replication_factor),
                );
                settings.iter().fold(new, |new, (name, value)| new.set(name, value))
            })
            .collect();
        let mut made = 0;
        for created in self.admin.create_topics(&wanted, &admin_options()).await? {
            match created {
                Ok(_) => made += 1,
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => bail!("topic {name} cannot be made: {code}"),
            }
        }
        let names: Vec<_> = topics.iter().map(|topic| topic.name.as_str()).collect();
        self.wait_for_leaders(&names).await?;
        Ok(made)
    }

    /// Makes a topic of this command's own: one partition, of which the last record of each key stays.
    pub(super) async fn create_compacted(&self, name: &str, replication_factor: i32, min_insync: i32) -> Result<()> {
        let min_insync = min_insync.to_string();
        let new = NewTopic::new(name, 1, TopicReplication::Fixed(replication_factor))
            .set("cleanup.policy", "compact")
            .set("min.insync.replicas", &min_insync)
            .set("unclean.leader.election.enable", "false");
        for created in self.admin.create_topics(&[new], &admin_options()).await? {
            match created {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => bail!("topic {name} cannot be made: {code}"),
            }
        }
        self.wait_for_leaders(&[name]).await
    }

    async fn wait_for_leaders(&self, topics: &[&str]) -> Result<()> {
        let waited = tokio::time::timeout(LEADERS_LIMIT, async {
            let mut backoff = backoff();
            loop {
                let shapes = self.shapes()?;
                let is_led = |topic: &&str| shapes.get(*topic).is_some_and(|shape| shape.led);
                if topics.iter().all(is_led) {
                    return Ok(());
                }
                tokio::time::sleep(backoff.next()).await;
            }
        });
        waited
            .await
            .unwrap_or_else(|_| bail!("new topics have no leader after {LEADERS_LIMIT:?}"))
    }

    /// Sets all of a topic's own settings; any that is left out falls back to the broker's default.
    pub(super) async fn alter(&self, topic: &Topic, settings: &BTreeMap<String, String>) -> Result<()> {
        let change = AlterConfig::new(ResourceSpecifier::Topic(&topic.name));
        let change = settings
            .iter()
            .fold(change, |change, (name, value)| change.set(name, value));
        for altered in self.admin.alter_configs([&change], &admin_options()).await? {
            altered.map_err(|(_, code)| anyhow::anyhow!("topic {} cannot be altered: {code}", topic.name))?;
        }
        Ok(())
    }

    /// The first offset of a partition, and the one after its last.
    pub(super) fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        self.asker
            .fetch_watermarks(topic, partition, ANSWER_LIMIT)
            .with_context(|| format!("the offsets of {topic}-{partition} cannot be read"))
    }

    /// A producer whose sends end within a limit, acknowledged or given up.
    pub(super) fn producer(&self) -> Result<FutureProducer> {
        let mut config = kafka::producer_config(&self.platform);
        // Unlike a worker, this command gives up and says so.
        config.set("message.timeout.ms", SEND_LIMIT.as_millis().to_string());
        Ok(config.create()?)
    }

    /// A consumer that reads one partition, from an offset.
    ///
    /// # Errors
    /// When the partition cannot be assigned.
    pub(super) fn read_from(&self, topic: &str, partition: i32, offset: i64) -> Result<&BaseConsumer> {
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        self.reader.assign(&assignment)?;
        Ok(&self.reader)
    }
}

fn admin_options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ANSWER_LIMIT))
        .operation_timeout(Some(ANSWER_LIMIT))
}
