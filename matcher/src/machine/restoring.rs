//! The book that a snapshot is putting together.

use crate::book::{Resting, Stop};

/// The book that is being restored: its orders come in several slices.
#[derive(Debug, Default)]
pub(super) struct Restoring {
    pub orders: Vec<Resting>,
    pub stops: Vec<Stop>,
    pub order_count: usize,
    pub stop_count: usize,
    pub priority_last: u64,
}
