//! What an apply thread knows of each partition that it holds.

use std::time::{Duration, Instant};

use crate::machine::Machine;
use crate::runner::partition::Partition;
use crate::service::{Backoff, backoff};

/// After this long without a failed send the back-off begins again.
const CALM: Duration = Duration::from_secs(60);

/// A partition that an apply thread holds.
pub struct Held<M: Machine> {
    pub(super) assignment: u64,
    pub(super) slot: Slot<M>,
}

/// What an apply thread has of a partition.
pub(super) enum Slot<M: Machine> {
    /// It is yet to be opened.
    Starting(Starting),
    /// It lives.
    Running(Box<Partition<M>>),
    /// It waits for an operator; nothing of it is used any more.
    Stopped,
}

/// A partition that is not open yet.
pub(super) struct Starting {
    pub(super) since: Instant,
    pub(super) retry_at: Instant,
    pub(super) backoff: Backoff,
}

impl Starting {
    /// A partition to be opened at this time or later.
    pub(super) fn at(retry_at: Instant) -> Self {
        Self {
            since: Instant::now(),
            retry_at,
            backoff: backoff(),
        }
    }
}

/// Pauses between restarts after failed sends.
pub struct Restarts {
    backoff: Backoff,
    last: Option<Instant>,
}

impl Default for Restarts {
    fn default() -> Self {
        Self {
            backoff: backoff(),
            last: None,
        }
    }
}

impl Restarts {
    /// How long to wait before the next restart.
    pub(super) fn pause(&mut self, now: Instant) -> Duration {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) > CALM) {
            self.backoff.reset();
        }
        self.last = Some(now);
        self.backoff.next()
    }
}
