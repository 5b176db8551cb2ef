//! `acks`, `dead-letters` and `passed-offsets`: for the notifier's mailer, for operators, for every reader.

use serde::{Deserialize, Serialize};

use crate::{AccountId, kinds};

/// A client has seen its private stream up to here. Key: the account id; compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The account.
    pub account_id: AccountId,
    /// The highest `seq` that the client acknowledged.
    pub account_seq: i64,
    /// Microseconds since the epoch.
    pub acknowledged_us: i64,
}

kinds! {
    /// A record of `acks`.
    AckEvent, AckEventKind {
        /// A client acknowledged.
        acknowledged: Acknowledged(Acknowledged),
    }
}

/// A header of a record that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterHeader {
    /// The header's name.
    pub name: String,
    /// Its value as text; what is not UTF-8 is replaced by U+FFFD.
    pub value: String,
}

/// A client's record that could not be used: the whole of it, and why. Key: `topic-partition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusableRecord {
    /// The inbox.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// Why it could not be used.
    pub reason: String,
    /// The record's key in hexadecimal.
    pub key_hex: Option<String>,
    /// The record's value in hexadecimal.
    pub value_hex: Option<String>,
    /// The record's headers.
    pub headers: Vec<DeadLetterHeader>,
    /// The record's append time, milliseconds since the epoch.
    pub appended_ms: i64,
}

kinds! {
    /// A record of `dead-letters`.
    DeadLetter, DeadLetterKind {
        /// A record that could not be used.
        unusable_record: UnusableRecord(UnusableRecord),
    }
}

/// The decision that every reader of a topic passes an offset, because its record can never be read.
/// Key: `topic-partition-offset`; kept for ever, and the first one counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOffset {
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// Why it is passed.
    pub reason: String,
    /// The operator, or the worker that met it.
    pub decided_by: String,
    /// Microseconds since the epoch.
    pub decided_us: i64,
}

/// The decision that what was appended to a partition up to a time is used although that time has not come: the
/// broker's clock was ahead. Key: `topic-partition-time`; kept for ever, and the latest time counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedTime {
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The latest append time that is used, microseconds since the epoch.
    pub until_us: i64,
    /// Why it is accepted.
    pub reason: String,
    /// The operator.
    pub decided_by: String,
    /// Microseconds since the epoch.
    pub decided_us: i64,
}

kinds! {
    /// A record of `passed-offsets`.
    Passage, PassageKind {
        /// An offset that every reader passes.
        passed_offset: PassedOffset(PassedOffset),
        /// Up to which time a log from the future is used.
        accepted_time: AcceptedTime(AcceptedTime),
    }
}
