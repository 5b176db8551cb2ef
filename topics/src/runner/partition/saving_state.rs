//! What a partition keeps of its snapshots between records.

use std::time::Instant;

use tokio::sync::oneshot;

use crate::runner::snapshots::{Saved, SnapshotSchedule};

/// When the next snapshot is due, and the one on its way.
#[derive(Debug)]
pub struct Saving {
    pub(super) schedule: SnapshotSchedule,
    pub(super) outcome: Option<oneshot::Receiver<Result<Saved, String>>>,
    /// When the last one was safe; the partition's start before the first.
    pub saved_at: Instant,
}

impl Saving {
    /// Nothing on its way.
    pub fn new(schedule: SnapshotSchedule) -> Self {
        Self {
            schedule,
            outcome: None,
            saved_at: Instant::now(),
        }
    }
}
