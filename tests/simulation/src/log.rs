//! Topics as vectors.

use std::collections::BTreeMap;

use brokerx_schemas::{AccountCommand, AccountEvent, AnyMessage, BookCommand, InboxMessage};
use brokerx_topics::machine::{Content, Identity, Record};

/// A record as it stands in a log.
#[derive(Clone, Debug)]
pub struct LogRecord {
    /// The worker that wrote it.
    pub identity: Option<Identity>,
    /// Append time, milliseconds.
    pub appended_ms: i64,
    /// The value.
    pub message: AnyMessage,
}

/// All topics.
#[derive(Debug, Default)]
pub struct Logs {
    partitions: BTreeMap<(&'static str, i32), Vec<LogRecord>>,
    /// The brokers' clock, milliseconds; the scheduler moves it.
    pub now_ms: i64,
}

impl Logs {
    /// Empty topics; the clock starts at `now_ms`, in milliseconds.
    pub fn at(now_ms: i64) -> Self {
        Self {
            now_ms,
            ..Self::default()
        }
    }

    /// Appends a record.
    pub fn append(&mut self, partition: i32, identity: Option<Identity>, message: AnyMessage) {
        let record = LogRecord {
            identity,
            appended_ms: self.now_ms,
            message,
        };
        self.partitions
            .entry((record.message.topic(), partition))
            .or_default()
            .push(record);
    }

    /// The offset after the last record.
    pub fn end(&self, topic: &'static str, partition: i32) -> i64 {
        self.partitions
            .get(&(topic, partition))
            .map_or(0, |log| log.len() as i64)
    }

    /// The record at an offset, as a machine reads it.
    ///
    /// # Panics
    /// When there is none, or the topic is not the machine's inbox.
    pub fn read<I: Inbox>(&self, partition: i32, offset: i64) -> Record<I> {
        let record = &self.partitions[&(I::TOPIC, partition)][offset as usize];
        Record {
            offset,
            appended_ms: record.appended_ms,
            identity: record.identity.clone(),
            digest: offset as u128,
            input: Content::Decoded(I::from_any(&record.message)),
        }
    }

    /// Every record of a topic, partition by partition.
    pub fn records(&self, topic: &str) -> impl Iterator<Item = (i32, &LogRecord)> {
        self.partitions
            .iter()
            .filter(move |((name, _), _)| *name == topic)
            .flat_map(|((_, partition), log)| log.iter().map(|record| (*partition, record)))
    }

    /// What is left for a consumer that removes duplicates as the documentation says: of each source only
    /// the last number + 1.
    pub fn deduplicated(&self, topic: &str) -> Vec<(i32, &LogRecord)> {
        let mut last: BTreeMap<(i32, &str), u64> = BTreeMap::new();
        self.records(topic)
            .filter(|(partition, record)| {
                let Some(identity) = &record.identity else { return true };
                let last = last.entry((*partition, identity.source.as_str())).or_default();
                let next = identity.seq == *last + 1;
                *last += u64::from(next);
                next
            })
            .collect()
    }
}

/// An inbox whose value can be taken out of an [`AnyMessage`].
pub trait Inbox: InboxMessage {
    /// Takes the value out.
    ///
    /// # Panics
    /// When the message belongs to another topic, which cannot happen: the logs are keyed by topic.
    fn from_any(message: &AnyMessage) -> Self;
}

macro_rules! inbox {
    ($type:ident) => {
        impl Inbox for $type {
            fn from_any(message: &AnyMessage) -> Self {
                match message {
                    AnyMessage::$type(value) => value.clone(),
                    other => unreachable!("a message of {} in {}", other.topic(), stringify!($type)),
                }
            }
        }
    };
}

inbox!(AccountCommand);
inbox!(BookCommand);
inbox!(AccountEvent);
