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
    pub(super) retry_at: Instant,
    pub(super) backoff: Backoff,
    /// The first of the refusals that follow one another.
    refused_since: Option<Instant>,
}

impl Starting {
    /// A partition to be opened at this time or later.
    pub(super) fn at(retry_at: Instant) -> Self {
        Self {
            retry_at,
            backoff: backoff(),
            refused_since: None,
        }
    }

    /// The log could not be reached: whatever was refused before says nothing about it any more.
    pub(super) fn away(&mut self) {
        self.refused_since = None;
    }

    /// What was read is refused; returns for how long that has been so.
    pub(super) fn refused(&mut self, now: Instant) -> Duration {
        if self.refused_since.is_none() {
            // The pauses have grown while the log was away; what is back is looked at again soon.
            self.backoff.reset();
        }
        now.duration_since(*self.refused_since.get_or_insert(now))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_begins_with_the_first_refusal_after_the_log_was_away() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut starting = Starting::at(start);
        starting.away();
        assert_eq!(
            starting.refused(after(60)),
            Duration::ZERO,
            "the minute before was no refusal"
        );
        assert_eq!(starting.refused(after(65)), Duration::from_secs(5));
        starting.away();
        assert_eq!(starting.refused(after(80)), Duration::ZERO);
        assert_eq!(starting.refused(after(91)), Duration::from_secs(11));
    }
}
