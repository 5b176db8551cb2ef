//! Topics as vectors.

use std::collections::BTreeMap;

use brokerx_schemas::{
    AccountCommand, AccountEvent, AccountId, AnyMessage, BookCommand, DeadLetter, InboxMessage, Message, UnusableRecord,
};
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
    /// Nobody can read it, and it was decided that everybody passes it.
    pub is_passed: bool,
}

/// A kind of record of a book that is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// A trade of an account's order.
    Fill,
    /// The answer to a command.
    Answer,
    /// The end of an order by the rules.
    End,
}

impl Passes {
    fn concerns(self, command: &AccountCommand) -> Option<AccountId> {
        match (self, command) {
            (Self::Fill, AccountCommand::Fill(fill)) => Some(fill.account_id),
            (Self::Answer, AccountCommand::CommandDone(done)) => Some(done.account_id),
            (Self::End, AccountCommand::OrderEnded(ended)) => Some(ended.account_id),
            _ => None,
        }
    }
}

/// All topics.
#[derive(Debug, Default)]
pub struct Logs {
    partitions: BTreeMap<(&'static str, i32), Vec<LogRecord>>,
    /// The brokers' clock, milliseconds; the scheduler moves it.
    pub now_ms: i64,
    /// The next record of this kind that a worker writes is passed.
    passes: Option<Passes>,
}

impl Logs {
    /// Empty topics; the clock starts at `now_ms`, in milliseconds.
    pub fn at(now_ms: i64) -> Self {
        Self {
            now_ms,
            ..Self::default()
        }
    }

    /// Nobody will be able to read the next record of a kind.
    pub fn pass_next(&mut self, passes: Passes) {
        self.passes = Some(passes);
    }

    /// Appends what a worker has sent; it is passed when it is of the kind of which that was decided.
    pub fn append_sent(&mut self, partition: i32, identity: Identity, message: AnyMessage) {
        let is_passed = match (&message, self.passes) {
            (AnyMessage::AccountCommand(command), Some(passes)) => passes.concerns(command).is_some(),
            _ => false,
        };
        if is_passed {
            self.passes = None;
        }
        self.push(partition, Some(identity), message, is_passed);
    }

    /// Appends a record.
    pub fn append(&mut self, partition: i32, identity: Option<Identity>, message: AnyMessage) {
        self.push(partition, identity, message, false);
    }

    /// Records of books that accounts should have heard and that were passed, and whose they are. One that
    /// stands in the log a second time, before or behind, was not missed.
    pub fn passed(&self) -> Vec<(AccountId, Passes)> {
        let records = self.deduplicated(AccountCommand::TOPIC).into_iter();
        let passed = records.filter(|(_, record)| record.is_passed);
        let concerned = passed.filter_map(|(_, record)| match &record.message {
            AnyMessage::AccountCommand(command) => {
                let kinds = [Passes::Fill, Passes::Answer, Passes::End].into_iter();
                kinds
                    .filter_map(|kind| kind.concerns(command).map(|account_id| (account_id, kind)))
                    .next()
            }
            _ => None,
        });
        concerned.collect()
    }

    fn push(&mut self, partition: i32, identity: Option<Identity>, message: AnyMessage, is_passed: bool) {
        let record = LogRecord {
            identity,
            appended_ms: self.now_ms,
            message,
            is_passed,
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
            input: content(I::from_any(&record.message), record.is_passed),
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

/// The value of a record as a machine gets it.
pub fn content<I>(input: I, is_passed: bool) -> Content<I> {
    match is_passed {
        true => Content::Passed(Box::new(DeadLetter::UnusableRecord(UnusableRecord {
            topic: String::new(),
            partition: 0,
            offset: 0,
            reason: "it was passed".to_owned(),
            key_hex: None,
            value_hex: None,
            headers: Vec::new(),
            appended_ms: 0,
        }))),
        false => Content::Decoded(input),
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
