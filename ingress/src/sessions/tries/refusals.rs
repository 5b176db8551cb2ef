//! Refusals at one limit: the first of a window is written to the audit, and how many followed, from time to time.

use std::time::{Duration, Instant};

use super::keys::Key;

/// A try that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sessions) struct Refusal {
    /// How long to wait.
    pub(in crate::sessions) wait: Duration,
    /// The key of the limit, when this is its first refusal of the window: it is to be written.
    pub(in crate::sessions) first: Option<Key>,
}

/// Refusals at one limit that are not in the audit yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sessions) struct Unwritten {
    /// The row of the first one.
    pub(in crate::sessions) attempt_id: i64,
    /// How many followed it.
    pub(in crate::sessions) refused: i64,
}

/// The refusals at one limit in one window.
#[derive(Debug)]
pub(super) struct Refusals {
    since: Instant,
    /// The row of the first one, once it is written.
    attempt_id: Option<i64>,
    /// How many followed and are not in the audit.
    refused: i64,
}

impl Refusals {
    /// The first one, whose row is not written yet.
    pub(super) fn begin(now: Instant) -> Self {
        Self {
            since: now,
            attempt_id: None,
            refused: 0,
        }
    }

    /// Whether the window lasts.
    pub(super) fn is_recent(&self, window: Duration, now: Instant) -> bool {
        now < self.since + window
    }

    /// One more followed.
    pub(super) fn follow(&mut self) {
        self.refused += 1;
    }

    /// The row of the first one.
    pub(super) fn is_written(&mut self, attempt_id: i64) {
        self.attempt_id = Some(attempt_id);
    }

    /// Takes those that followed and are not in the audit.
    pub(super) fn take_unwritten(&mut self) -> Option<Unwritten> {
        let attempt_id = self.attempt_id.filter(|_| self.refused > 0)?;
        Some(Unwritten {
            attempt_id,
            refused: std::mem::take(&mut self.refused),
        })
    }
}
