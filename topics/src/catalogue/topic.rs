//! What is said about a topic.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::codec::VALUE_BYTES_MAX;

const AS_THE_LOG: &str = "as-the-log";

/// One topic, as its file says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Its name in Kafka.
    pub name: String,
    /// What it is for, one or two sentences.
    pub description: String,
    /// Who it is made for.
    pub kind: Kind,
    /// What the record key is, in words.
    pub key: String,
    /// How many partitions it has; that never changes.
    pub partitions: Partitions,
    /// What happens to old records.
    pub cleanup: Cleanup,
    /// How long records stay.
    pub retention: Retention,
    /// Whose clock the timestamps come from.
    pub timestamp_type: TimestampType,
    /// The service that answers for it.
    pub owner: String,
    /// Who writes it.
    pub writers: Vec<String>,
    /// Who reads it.
    pub readers: Vec<String>,
    /// The file of its value's Avro schema, from the project's root.
    pub value_schema: String,
    /// What a reader may rely on about order.
    pub ordering: String,
    /// How a reader recognises a duplicate.
    pub deduplication: String,
}

/// How many partitions a topic has: `as-the-log`, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawPartitions")]
pub enum Partitions {
    /// As many as the inboxes of its log, which that of an installation is begun with.
    AsTheLog,
    /// The same in every installation.
    Fixed(i32),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawPartitions {
    Number(i32),
    Word(String),
}

/// Who a topic is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The log that a machine folds over: the append-only truth.
    Inbox,
    /// A contract with other teams.
    Public,
    /// Between the workers; may change without notice.
    Internal,
}

/// What happens to old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cleanup {
    /// They go once they are older than the retention.
    Delete,
    /// The last record of each key stays.
    Compact,
}

/// How long records stay: `unlimited`, or a number of hours or days such as `90 days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Retention {
    /// For ever.
    Unlimited,
    /// At least this long.
    Limited(Duration),
}

/// Whose clock the timestamps are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimestampType {
    /// The broker's, when it appends.
    LogAppendTime,
    /// The producer's.
    CreateTime,
}

impl Topic {
    /// The partitions of a topic that has as many in every installation.
    ///
    /// # Panics
    /// When it has not. Meant for topics whose names stand in the code.
    pub fn fixed_count(&self) -> i32 {
        match self.partitions {
            Partitions::Fixed(count) => count,
            Partitions::AsTheLog => panic!("{} has as many partitions as its log", self.name),
        }
    }

    /// Its partitions in an installation whose inboxes have so many.
    pub fn count(&self, of_the_log: i32) -> i32 {
        match self.partitions {
            Partitions::AsTheLog => of_the_log,
            Partitions::Fixed(count) => count,
        }
    }

    /// The settings that the topic has in Kafka, besides partitions and replicas.
    pub fn settings(&self, min_insync_replicas: i32) -> Vec<(&'static str, String)> {
        vec![
            ("cleanup.policy", self.cleanup.to_string()),
            ("retention.ms", self.retention.milliseconds().to_string()),
            ("retention.bytes", "-1".to_owned()),
            ("message.timestamp.type", self.timestamp_type.to_string()),
            // A batch of one value of the largest size, with key and headers.
            ("max.message.bytes", (VALUE_BYTES_MAX + 100_000).to_string()),
            ("min.insync.replicas", min_insync_replicas.to_string()),
            // A replica that lacks acknowledged records must not lead: no writes for a while are
            // better.
            ("unclean.leader.election.enable", "false".to_owned()),
        ]
    }

    /// The subject of its value's schema in the registry.
    pub fn subject(&self) -> String {
        crate::codec::subject_of(&self.name)
    }
}

impl TryFrom<RawPartitions> for Partitions {
    type Error = String;

    fn try_from(raw: RawPartitions) -> Result<Self, String> {
        match raw {
            RawPartitions::Word(word) if word == AS_THE_LOG => Ok(Self::AsTheLog),
            RawPartitions::Number(count) if count > 0 => Ok(Self::Fixed(count)),
            RawPartitions::Word(word) => Err(format!("{word:?} is neither a number nor `{AS_THE_LOG}`")),
            RawPartitions::Number(count) => Err(format!("no topic has {count} partitions")),
        }
    }
}

impl fmt::Display for Partitions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsTheLog => formatter.write_str("as the log"),
            Self::Fixed(count) => write!(formatter, "{count}"),
        }
    }
}

impl Retention {
    /// Milliseconds as Kafka takes them; -1 is for ever.
    pub fn milliseconds(self) -> i64 {
        match self {
            Self::Unlimited => -1,
            Self::Limited(duration) => i64::try_from(duration.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

impl TryFrom<String> for Retention {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let expected = || format!("{text:?} is neither `unlimited` nor a number of hours or days");
        let (number, unit) = text.split_once(' ').ok_or_else(expected)?;
        let hours_per_unit = match unit {
            "hour" | "hours" => 1,
            "day" | "days" => 24,
            _ => return Err(expected()),
        };
        let number: u64 = number.parse().ok().filter(|number| *number > 0).ok_or_else(expected)?;
        let seconds = number.checked_mul(hours_per_unit * 3_600).ok_or_else(expected)?;
        Ok(Self::Limited(Duration::from_secs(seconds)))
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Limited(duration) = self else {
            return formatter.write_str("without limit");
        };
        let hours = duration.as_secs() / 3_600;
        match (hours / 24, hours % 24) {
            (1, 0) => formatter.write_str("1 day"),
            (days, 0) => write!(formatter, "{days} days"),
            (0, 1) => formatter.write_str("1 hour"),
            _ => write!(formatter, "{hours} hours"),
        }
    }
}

impl fmt::Display for Cleanup {
    /// As the setting `cleanup.policy`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Delete => "delete",
            Self::Compact => "compact",
        })
    }
}

impl fmt::Display for TimestampType {
    /// As the setting `message.timestamp.type`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::LogAppendTime => "LogAppendTime",
            Self::CreateTime => "CreateTime",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Inbox => "inbox",
            Self::Public => "public",
            Self::Internal => "internal",
        })
    }
}
