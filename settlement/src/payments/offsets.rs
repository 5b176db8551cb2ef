//! Which offsets may be committed: everything below the lowest record that is not finished.

use std::collections::{BTreeMap, BTreeSet};

/// The open records of all partitions.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    partitions: BTreeMap<i32, Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    /// Begun, not finished.
    open: BTreeSet<i64>,
    /// The offset after the last that was begun.
    next: i64,
    committed: Option<i64>,
}

impl Partition {
    fn committable(&self) -> i64 {
        self.open.first().copied().unwrap_or(self.next)
    }
}

impl Offsets {
    /// A record was read.
    pub(super) fn begin(&mut self, partition: i32, offset: i64) {
        let state = self.partitions.entry(partition).or_default();
        state.open.insert(offset);
        state.next = state.next.max(offset + 1);
    }

    /// Nothing more is to be done about a record. One of a forgotten partition is ignored.
    pub(super) fn finish(&mut self, partition: i32, offset: i64) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.open.remove(&offset);
        }
    }

    /// The partition belongs to somebody else from here on.
    pub(super) fn forget(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    /// What may be committed and is not yet: partition and next offset.
    pub(super) fn to_commit(&self) -> Vec<(i32, i64)> {
        let changed = self
            .partitions
            .iter()
            .filter(|(_, state)| state.committed != Some(state.committable()));
        changed
            .map(|(partition, state)| (*partition, state.committable()))
            .collect()
    }

    /// These were committed.
    pub(super) fn committed(&mut self, offsets: &[(i32, i64)]) {
        for (partition, offset) in offsets {
            if let Some(state) = self.partitions.get_mut(partition) {
                state.committed = Some(*offset);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_unfinished_record_holds_the_commit() {
        let mut offsets = Offsets::default();
        for offset in 5..9 {
            offsets.begin(0, offset);
        }
        assert_eq!(offsets.to_commit(), [(0, 5)]);
        offsets.finish(0, 6);
        offsets.finish(0, 5);
        assert_eq!(offsets.to_commit(), [(0, 7)]);
        offsets.committed(&[(0, 7)]);
        assert_eq!(offsets.to_commit(), []);
        offsets.finish(0, 8);
        assert_eq!(offsets.to_commit(), []);
        offsets.finish(0, 7);
        assert_eq!(offsets.to_commit(), [(0, 9)]);
    }

    #[test]
    fn a_partition_that_comes_back_begins_where_it_is_read() {
        let mut offsets = Offsets::default();
        offsets.begin(0, 5);
        offsets.begin(0, 6);
        offsets.forget(0);
        offsets.finish(0, 5);
        assert_eq!(offsets.to_commit(), []);
        offsets.begin(0, 5);
        assert_eq!(offsets.to_commit(), [(0, 5)]);
    }
}
