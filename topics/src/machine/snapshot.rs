//! What a snapshot holds besides the machine's own slices.

use serde::{Deserialize, Serialize};

use super::{Edges, Setup};

/// Why a snapshot cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be written.
    #[error("a snapshot slice cannot be encoded: {0}")]
    Encode(String),
    /// It cannot be read.
    #[error("a snapshot slice cannot be decoded: {0}")]
    Decode(String),
    /// It is of another log, another partition, or does not add up.
    #[error("a snapshot does not fit: {0}")]
    Mismatch(String),
}

/// The part of a fold's state that every machine has. Fields that are added later get a serde default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldState {
    /// Place and configuration.
    pub setup: Setup,
    /// The next offset to apply: everything below it is in the state.
    pub position: i64,
    /// Machine time, milliseconds since the epoch.
    pub now_ms: i64,
    /// The last second that the clock passed into.
    pub last_tick_second: i64,
    /// The counters of all edges.
    pub edges: Edges,
    /// Running hash over key, value and headers of every record below `position`.
    pub log_hash: u128,
    /// The digest of the record at `position - 1`: the log must still contain that same record.
    pub last_digest: u128,
    /// The machine's state hash at `position`; checked after a restore.
    pub state_hash: u64,
}
