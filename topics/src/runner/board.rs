//! What the threads of a runner tell each other: which partitions are wanted, how far each came.
//!
//! It holds state, not messages, so no queue can overflow and nothing is lost or done twice: the
//! ownership thread writes what is wanted, the apply threads compare that with what they hold.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Where a partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It loads its state or catches up; says what it waits for.
    Starting(String),
    /// It caught up once.
    Live,
    /// It waits for a schema, for a clock, or for another producer.
    Blocked(String),
    /// It waits for an operator.
    Stopped(String),
}

#[derive(Debug)]
struct Entry {
    /// Which assignment this is: a partition that was revoked and assigned again starts over.
    assignment: u64,
    /// Whether the group gives it to this process.
    wanted: bool,
    /// Whether an apply thread holds it.
    held: bool,
    standing: Standing,
    committable: Option<i64>,
    position: i64,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Board {
    partitions: Mutex<BTreeMap<i32, Entry>>,
    /// Changes whenever what is wanted changes.
    version: AtomicU64,
    /// One counter per apply thread that grows while the thread makes progress.
    beats: Vec<AtomicU64>,
    stop_at: Mutex<Option<Instant>>,
}

impl Board {
    /// A board for so many apply threads.
    pub fn new(threads: usize) -> Self {
        Self {
            partitions: Mutex::default(),
            version: AtomicU64::new(1),
            beats: (0..threads).map(|_| AtomicU64::new(0)).collect(),
            stop_at: Mutex::new(None),
        }
    }

    fn partitions(&self) -> MutexGuard<'_, BTreeMap<i32, Entry>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The group gives these partitions to this process.
    pub fn want(&self, partitions: &[i32]) {
        let assignment = self.version.fetch_add(1, Ordering::AcqRel) + 1;
        let mut entries = self.partitions();
        for partition in partitions {
            let held = entries.get(partition).is_some_and(|entry| entry.held);
            let entry = Entry {
                assignment,
                wanted: true,
                held,
                standing: Standing::Starting("assigned".to_owned()),
                committable: None,
                position: 0,
            };
            entries.insert(*partition, entry);
        }
    }

    /// The group takes these partitions away.
    pub fn unwant(&self, partitions: &[i32]) {
        let mut entries = self.partitions();
        for partition in partitions {
            if let Some(entry) = entries.get_mut(partition) {
                entry.wanted = false;
            }
        }
        drop(entries);
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Forgets partitions that are neither wanted nor held.
    pub fn forget_released(&self) {
        self.partitions().retain(|_, entry| entry.wanted || entry.held);
    }

    /// Changes whenever [`Board::wanted`] may have changed.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The partitions that are wanted of an apply thread, with the number of their assignment.
    pub fn wanted(&self, thread: usize) -> BTreeMap<i32, u64> {
        let entries = self.partitions();
        let wanted = entries.iter().filter(|(_, entry)| entry.wanted);
        wanted
            .filter(|(partition, _)| self.thread_of(**partition) == thread)
            .map(|(partition, entry)| (*partition, entry.assignment))
            .collect()
    }

    /// The apply thread that a partition belongs to.
    pub fn thread_of(&self, partition: i32) -> usize {
        partition as usize % self.beats.len()
    }

    /// An apply thread begins to hold a partition.
    pub fn hold(&self, partition: i32) {
        if let Some(entry) = self.partitions().get_mut(&partition) {
            entry.held = true;
        }
    }

    /// An apply thread let go of a partition.
    pub fn release(&self, partition: i32) {
        if let Some(entry) = self.partitions().get_mut(&partition) {
            entry.held = false;
        }
    }

    /// Whether any of these partitions is held by an apply thread.
    pub fn is_held(&self, partitions: &[i32]) -> bool {
        let entries = self.partitions();
        partitions
            .iter()
            .any(|partition| entries.get(partition).is_some_and(|entry| entry.held))
    }

    /// Where a partition stands.
    pub fn set_standing(&self, partition: i32, standing: Standing) {
        if let Some(entry) = self.partitions().get_mut(&partition) {
            entry.standing = standing;
        }
    }

    /// How far a partition came, and up to where everything is acknowledged.
    pub fn progress(&self, partition: i32, assignment: u64, position: i64, committable: i64) {
        if let Some(entry) = self.partitions().get_mut(&partition)
            && entry.assignment == assignment
        {
            entry.position = position;
            entry.committable = Some(committable);
        }
    }

    /// Per partition that is wanted, or is being given up: its assignment, the next offset to apply
    /// and the offset that may be committed.
    pub fn progresses(&self, given_up: &[i32]) -> Vec<(i32, u64, i64, i64)> {
        let entries = self.partitions();
        let of_interest = entries
            .iter()
            .filter(|(partition, entry)| entry.wanted || given_up.contains(partition));
        of_interest
            .filter_map(|(partition, entry)| Some((*partition, entry.assignment, entry.position, entry.committable?)))
            .collect()
    }

    /// Partitions that wait for an operator, with the reason.
    pub fn stopped(&self) -> BTreeMap<i32, String> {
        let entries = self.partitions();
        let stopped = entries.iter().filter_map(|(partition, entry)| match &entry.standing {
            Standing::Stopped(reason) => Some((*partition, reason.clone())),
            _ => None,
        });
        stopped.collect()
    }

    /// Whether every wanted partition is live, and if not, what is the matter with the first.
    pub fn health(&self) -> (bool, String) {
        let entries = self.partitions();
        let wanted = || entries.iter().filter(|(_, entry)| entry.wanted);
        let gravest = wanted().max_by_key(|(_, entry)| match entry.standing {
            Standing::Live => 0,
            Standing::Starting(_) => 1,
            Standing::Blocked(_) => 2,
            Standing::Stopped(_) => 3,
        });
        let ill = |partition: i32, what: &str, why: &str| (false, format!("partition {partition} {what}: {why}"));
        match gravest.map(|(partition, entry)| (*partition, &entry.standing)) {
            Some((partition, Standing::Starting(why))) => ill(partition, "is starting", why),
            Some((partition, Standing::Blocked(why))) => ill(partition, "is blocked", why),
            Some((partition, Standing::Stopped(why))) => ill(partition, "stopped", why),
            Some((_, Standing::Live)) => (true, format!("{} partitions live", wanted().count())),
            None => (true, "a member of the group, without partitions".to_owned()),
        }
    }

    /// An apply thread made progress.
    pub fn beat(&self, thread: usize) {
        self.beats[thread].fetch_add(1, Ordering::Relaxed);
    }

    /// How often each apply thread made progress.
    pub fn beats(&self) -> impl Iterator<Item = u64> {
        self.beats.iter().map(|beat| beat.load(Ordering::Relaxed))
    }

    /// Asks every thread to stop by then; the first call counts, unless a later one is more urgent.
    pub fn stop_by(&self, deadline: Instant) {
        let mut stop_at = self.stop_at.lock().unwrap_or_else(PoisonError::into_inner);
        *stop_at = Some(stop_at.map_or(deadline, |earlier| earlier.min(deadline)));
    }

    /// By when to stop, once somebody asked.
    pub fn stop_at(&self) -> Option<Instant> {
        *self.stop_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the time to stop is over: nobody waits for anything any more.
    pub fn is_past_stop(&self) -> bool {
        self.stop_at().is_some_and(|deadline| Instant::now() >= deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_comes_back_is_another_assignment() {
        let board = Board::new(2);
        board.want(&[0, 1, 2]);
        let first = board.wanted(0);
        assert_eq!(first.keys().copied().collect::<Vec<_>>(), [0, 2]);
        board.hold(0);
        board.progress(0, first[&0], 7, 5);
        board.unwant(&[0]);
        assert!(!board.wanted(0).contains_key(&0));
        board.forget_released();
        assert_eq!(
            board.progresses(&[0]),
            [(0, first[&0], 7, 5)],
            "held until it is released"
        );
        assert_eq!(board.progresses(&[]), [], "not this process's any more");
        board.want(&[0]);
        assert_ne!(board.wanted(0)[&0], first[&0]);
        board.progress(0, first[&0], 9, 9);
        assert_eq!(
            board.progresses(&[]),
            [],
            "what the earlier assignment says does not count"
        );
        board.release(0);
        board.unwant(&[0]);
        board.forget_released();
        assert!(!board.is_held(&[0, 1, 2]));
    }

    #[test]
    fn health_names_the_gravest() {
        let board = Board::new(1);
        board.want(&[0, 1]);
        board.set_standing(0, Standing::Live);
        assert!(!board.health().0);
        board.set_standing(1, Standing::Live);
        assert!(board.health().0);
        board.set_standing(0, Standing::Stopped("a fault".to_owned()));
        assert_eq!(board.health(), (false, "partition 0 stopped: a fault".to_owned()));
        assert_eq!(board.stopped().len(), 1);
    }
}
