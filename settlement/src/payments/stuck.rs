//! The record that the stage cannot get past: as long as there is one, to be in the group again is not to be ready.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Its partition and offset, if there is one; every clone knows the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Stuck(Arc<Mutex<Option<(i32, i64)>>>);

impl Stuck {
    /// This record cannot be used.
    pub(super) fn at(&self, partition: i32, offset: i64) {
        *self.lock() = Some((partition, offset));
    }

    /// This record was used, or passed; true when that is news.
    pub(super) fn taken(&self, partition: i32, offset: i64) -> bool {
        let mut stuck = self.lock();
        let was_here = stuck.is_some_and(|(at, from)| at == partition && offset >= from);
        if was_here {
            *stuck = None;
        }
        was_here
    }

    /// These partitions come to it; whether it is stuck in one of them, or may be, as more are to come.
    pub(super) fn remains(&self, partitions: &[i32]) -> bool {
        let mut stuck = self.lock();
        *stuck = stuck.filter(|(partition, _)| partitions.is_empty() || partitions.contains(partition));
        stuck.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<(i32, i64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stuck_until_it_is_past_the_record_or_the_partition_is_another_s() {
        let stuck = Stuck::default();
        assert!(!stuck.remains(&[0, 1]));
        stuck.at(1, 7);
        assert!(stuck.remains(&[0, 1]));
        assert!(!stuck.taken(0, 9) && !stuck.taken(1, 6), "others go on");
        assert!(stuck.remains(&[0, 1]));
        assert!(stuck.taken(1, 7));
        assert!(!stuck.taken(1, 8) && !stuck.remains(&[0, 1]));
        stuck.at(1, 9);
        assert!(stuck.remains(&[]));
        assert!(!stuck.remains(&[0]), "another instance has it");
    }
}
