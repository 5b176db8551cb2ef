//! The records of an inbox that this command reads and writes.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use brokerx_schemas::{AccountCommand, BookCommand, Config, ConfigChange, Control, Genesis, InboxMessage, Message};
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::{Deserialize, Serialize};

use super::cluster::Cluster;
use crate::catalogue::{Topic, inboxes};
use crate::codec::{Codec, DecodeError};
use crate::passes::{Passes, Word};
use crate::service::kafka;

/// A partition that has records left but yields none for this long is given up.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// One inbox partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inbox {
    pub(super) topic: &'static Topic,
    pub(super) partition: i32,
}

/// What the control records of an inbox add up to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct InboxConfig {
    pub(super) version: i32,
    pub(super) logic_version: i32,
    pub(super) config: Config,
}

impl InboxConfig {
    /// What an inbox has that holds nothing but this.
    pub(super) fn of_genesis(genesis: &Genesis) -> Self {
        Self {
            version: genesis.config_version,
            logic_version: genesis.logic_version,
            config: genesis.config.clone(),
        }
    }
}

/// A record of this command.
#[derive(Clone, Debug)]
pub(super) enum ControlRecord {
    Genesis(Genesis),
    Config(ConfigChange),
}

/// All partitions of all inboxes.
///
/// # Errors
/// When there are none, or they have different numbers.
pub(super) fn all(cluster: &Cluster) -> Result<impl Iterator<Item = Inbox> + use<>> {
    let count = cluster.partitions_of_log()?;
    Ok(of_a_log(
        count.context("there are no topics; run `brokerx-topics apply` first")?,
    ))
}

/// The partitions of all inboxes of a log that has so many of each.
pub(super) fn of_a_log(partitions: i32) -> impl Iterator<Item = Inbox> {
    inboxes().flat_map(move |topic| (0..topic.count(partitions)).map(move |partition| Inbox { topic, partition }))
}

impl std::fmt::Display for Inbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.topic.name, self.partition)
    }
}

impl Inbox {
    /// Appends a record and returns its offset.
    pub(super) async fn append(self, producer: &FutureProducer, codec: &Codec, record: ControlRecord) -> Result<i64> {
        let mut value = Vec::new();
        match self.topic.name.as_str() {
            AccountCommand::TOPIC => codec.encode(
                &match record {
                    ControlRecord::Genesis(genesis) => AccountCommand::Genesis(genesis),
                    ControlRecord::Config(change) => AccountCommand::Config(change),
                },
                &mut value,
            ),
            BookCommand::TOPIC => codec.encode(
                &match record {
                    ControlRecord::Genesis(genesis) => BookCommand::Genesis(genesis),
                    ControlRecord::Config(change) => BookCommand::Config(change),
                },
                &mut value,
            ),
            other => bail!("{other} is no inbox that this build knows"),
        }?;
        let record = FutureRecord::<(), _>::to(&self.topic.name)
            .partition(self.partition)
            .payload(&value);
        match producer.send(record, SILENCE_LIMIT).await {
            Ok(delivery) => Ok(delivery.offset),
            Err((error, _)) => Err(error).with_context(|| format!("{self}: the record was not acknowledged")),
        }
    }

    /// The genesis of the partition; none when it is empty.
    ///
    /// # Errors
    /// When it does not begin with a genesis at offset 0.
    pub(super) async fn genesis(self, cluster: &Cluster, codec: &Codec) -> Result<Option<Genesis>> {
        let (low, high) = cluster.watermarks(&self.topic.name, self.partition)?;
        if low > 0 {
            bail!("{self}: the log begins at offset {low}: its start is lost");
        }
        if high == 0 {
            return Ok(None);
        }
        let mut genesis = None;
        self.controls(cluster, codec, None, 0..1, |_, control| {
            if let Control::Genesis(found) = control {
                genesis = Some(found.clone());
            }
            Ok(())
        })
        .await?;
        genesis
            .map(Some)
            .with_context(|| format!("{self}: offset 0 is no genesis; records were written before the first `apply`"))
    }

    /// The configuration that the machine of the partition has at `end`, by the same rule as the machine's;
    /// with `known`, the one that it has at an earlier offset, only what comes from there on is read. What the
    /// machine passes is no record here either.
    pub(super) async fn config(
        self,
        cluster: &Cluster,
        codec: &Codec,
        passes: &Passes,
        known: Option<(InboxConfig, i64)>,
        end: i64,
    ) -> Result<InboxConfig> {
        let (mut current, begin) = known.map_or((None, 0), |(config, through)| (Some(config), through));
        self.controls(cluster, codec, Some(passes), begin..end, |offset, control| {
            match (control, &mut current) {
                (Control::Genesis(genesis), None) if offset == 0 => {
                    current = Some(InboxConfig::of_genesis(genesis));
                }
                (Control::Genesis(_), _) => bail!("{self}: offset {offset} is a second genesis"),
                (Control::Config(change), Some(current)) if change.version == current.version + 1 => {
                    current.version = change.version;
                    current.logic_version = change.logic_version;
                    current.config = change.config.clone();
                }
                _ => {}
            }
            Ok(())
        })
        .await?;
        current.with_context(|| format!("{self}: there is no genesis; run `brokerx-topics apply` first"))
    }

    /// The end of the partition.
    pub(super) fn end(self, cluster: &Cluster) -> Result<i64> {
        Ok(cluster.watermarks(&self.topic.name, self.partition)?.1)
    }

    /// Visits the control records between two offsets, but those that are passed.
    async fn controls(
        self,
        cluster: &Cluster,
        codec: &Codec,
        passes: Option<&Passes>,
        offsets: Range<i64>,
        visit: impl FnMut(i64, Control<'_>) -> Result<()>,
    ) -> Result<()> {
        match self.topic.name.as_str() {
            AccountCommand::TOPIC => {
                self.visit::<AccountCommand>(cluster, codec, passes, offsets, visit)
                    .await
            }
            BookCommand::TOPIC => self.visit::<BookCommand>(cluster, codec, passes, offsets, visit).await,
            other => bail!("{other} is no inbox that this build knows"),
        }
    }

    /// How far a consumer has come, markers of transactions included.
    fn reached(self, consumer: &BaseConsumer) -> Result<i64> {
        Ok(kafka::position(consumer, &self.topic.name, self.partition)?.unwrap_or(0))
    }

    async fn visit<M: InboxMessage>(
        self,
        cluster: &Cluster,
        codec: &Codec,
        passes: Option<&Passes>,
        Range { start, end }: Range<i64>,
        mut visit: impl FnMut(i64, Control<'_>) -> Result<()>,
    ) -> Result<()> {
        if start >= end {
            return Ok(());
        }
        let consumer = cluster.read_from(&self.topic.name, self.partition, start)?;
        let mut heard = Instant::now();
        let mut position = start;
        while position < end {
            let record = match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) => record,
                // What is left are markers of transactions.
                None if position > 0 && self.reached(consumer)? >= end => break,
                None if heard.elapsed() < SILENCE_LIMIT => continue,
                Some(Err(error)) => return Err(error).with_context(|| format!("{self} cannot be read")),
                None => bail!("{self}: no record came for {SILENCE_LIMIT:?}, at offset {position} of {end}"),
            };
            if record.topic() != self.topic.name || record.partition() != self.partition {
                // Left over from the partition that was read before.
                continue;
            }
            heard = Instant::now();
            position = record.offset() + 1;
            if record.offset() >= end {
                break;
            }
            let word = passes.map(|passes| passes.word(&self.topic.name, self.partition, record.offset()));
            if let Some(Word::Passed(_)) = word {
                // The registry is not asked for its schema, which it may not have.
                continue;
            }
            match codec.decode_resolving::<M>(record.payload().unwrap_or_default()).await {
                Ok(message) => {
                    if let Some(control) = message.control() {
                        visit(record.offset(), control)?;
                    }
                }
                // A client wrote it; the machine sends it to the dead letters.
                Err(DecodeError::Malformed(_) | DecodeError::DeniedSchema(_)) => {}
                Err(error) => return Err(error).with_context(|| format!("{self}, offset {}", record.offset())),
            }
        }
        Ok(())
    }
}
