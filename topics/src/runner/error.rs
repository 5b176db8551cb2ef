//! Why the runner, or one partition of it, ends.

use std::collections::BTreeMap;

use crate::machine::Fault;

/// Why a runner does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// A Kafka client cannot be made, or does not answer in an offline fold.
    #[error("Kafka: {0}")]
    Kafka(String),
    /// The folder of the snapshots cannot be used.
    #[error("snapshots: {0}")]
    Snapshots(String),
    /// The threads or the runtime of the runner cannot be made.
    #[error("the runner cannot start: {0}")]
    Start(#[source] std::io::Error),
    /// Another process runs under the same instance name; two of one name cannot both own partitions.
    #[error("another process took over the instance name {instance:?}")]
    Fenced {
        /// The name.
        instance: String,
    },
    /// A thread of the runner ended by itself: a defect.
    #[error("a thread of the runner ended unexpectedly")]
    ThreadEnded,
    /// A thread did not stop within the limit.
    #[error("a partition was still busy when the time to stop was over")]
    StopTimedOut,
    /// Partitions that stopped, each with its reason.
    #[error("partitions stopped: {}", list(.0))]
    PartitionsStopped(BTreeMap<i32, String>),
    /// An offline fold met a record that it cannot go on with.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// An offline fold met a record whose schema the registry did not give.
    #[error("offset {offset}: schema {schema_id}: {reason}")]
    Schema {
        /// The record.
        offset: i64,
        /// The schema's id.
        schema_id: u32,
        /// What the registry said last.
        reason: String,
    },
}

fn list(stopped: &BTreeMap<i32, String>) -> String {
    let reasons: Vec<_> = stopped
        .iter()
        .map(|(partition, reason)| format!("{partition}: {reason}"))
        .collect();
    reasons.join("; ")
}
