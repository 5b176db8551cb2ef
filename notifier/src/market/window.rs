//! Changes of a book that wait to be pushed together.

use std::collections::BTreeMap;

use brokerx_schemas::{LevelChange, Side};

/// What changed since the last push: each level that was touched, only in its newest state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The number of the change before the first that is included.
    pub(super) prev_sequence: i64,
    /// The number of the last change that is included.
    pub(super) sequence: i64,
    /// When the last change happened, microseconds since the epoch.
    pub(super) occurred_us: i64,
    levels: BTreeMap<(bool, i64), LevelChange>,
}

impl Window {
    /// A window that opens with the change after `prev_sequence`.
    pub(super) fn new(prev_sequence: i64) -> Self {
        Self {
            prev_sequence,
            sequence: prev_sequence,
            occurred_us: 0,
            levels: BTreeMap::new(),
        }
    }

    /// Adds the next change.
    pub(super) fn add(&mut self, sequence: i64, occurred_us: i64, changes: &[LevelChange]) {
        self.sequence = sequence;
        self.occurred_us = occurred_us;
        for change in changes {
            self.levels
                .insert((change.side == Side::Buy, change.price_cents), *change);
        }
    }

    /// The levels that changed.
    pub(super) fn changes(&self) -> impl Iterator<Item = &LevelChange> {
        self.levels.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_change_of_each_level_counts() {
        let change = |side, price_cents, quantity| LevelChange {
            side,
            price_cents,
            quantity,
            order_count: 1,
        };
        let mut window = Window::new(4);
        window.add(5, 50, &[change(Side::Buy, 100, 3), change(Side::Sell, 101, 1)]);
        window.add(6, 60, &[]);
        window.add(7, 70, &[change(Side::Buy, 100, 0), change(Side::Sell, 100, 2)]);
        assert_eq!((window.prev_sequence, window.sequence, window.occurred_us), (4, 7, 70));
        let changes: Vec<_> = window
            .changes()
            .map(|change| (change.side, change.price_cents, change.quantity))
            .collect();
        assert_eq!(
            changes,
            [(Side::Sell, 100, 2), (Side::Sell, 101, 1), (Side::Buy, 100, 0)]
        );
    }
}
