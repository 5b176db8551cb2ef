//! When a partition is snapshotted.

use std::time::{Duration, Instant};

/// Between two snapshots of a partition lies at least this, however many records come.
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// The partitions of a thread stand still for their snapshots one at a time, spread over the interval.
const SPREAD: u32 = 16;

/// A snapshot is due after this many times as long as the last one held the partition up, when that
/// is later than the interval: a large state is saved less often, not at the price of every order.
const REST: u32 = 400;

/// The schedule of one partition.
#[derive(Debug)]
pub struct SnapshotSchedule {
    interval: Duration,
    records_max: i64,
    /// Not before this, whatever changed.
    not_before: Instant,
    /// When the interval ends.
    due_at: Instant,
    /// Where the last one was taken.
    position: i64,
}

impl SnapshotSchedule {
    /// A schedule from now on, for a partition that was restored at `position`.
    pub fn new(interval: Duration, records_max: u64, partition: i32, position: i64, now: Instant) -> Self {
        let share = partition.unsigned_abs() % SPREAD;
        Self {
            interval,
            records_max: i64::try_from(records_max).unwrap_or(i64::MAX),
            not_before: now + PAUSE_MIN.min(interval),
            due_at: now + interval / 2 + interval * share / SPREAD,
            position,
        }
    }

    /// Whether a snapshot at `position` is due.
    pub fn is_due(&self, position: i64, now: Instant) -> bool {
        let records = position - self.position;
        records > 0 && now >= self.not_before && (now >= self.due_at || records >= self.records_max)
    }

    /// Whether anything changed since the last one.
    pub fn is_behind(&self, position: i64) -> bool {
        position > self.position
    }

    /// A snapshot was taken at `position`, for which the partition stood still from `started` until
    /// `now`.
    pub fn taken(&mut self, position: i64, started: Instant, now: Instant) {
        let rest = now.saturating_duration_since(started) * REST;
        self.position = position;
        self.not_before = now + rest.max(PAUSE_MIN.min(self.interval));
        self.due_at = now + rest.max(self.interval);
    }

    /// It could not be taken now: outputs are not acknowledged in time.
    pub fn postpone(&mut self, now: Instant) {
        self.not_before = now + PAUSE_MIN.min(self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_interval_or_enough_records_but_only_when_something_changed() {
        let start = Instant::now();
        let seconds = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = SnapshotSchedule::new(Duration::from_secs(60), 1_000, 0, 100, start);
        assert!(!schedule.is_due(100, seconds(600)), "nothing changed");
        assert!(!schedule.is_due(101, seconds(29)));
        assert!(schedule.is_due(101, seconds(30)));
        assert!(!schedule.is_due(1_100, seconds(4)), "too soon");
        assert!(schedule.is_due(1_100, seconds(5)));
        schedule.taken(1_100, seconds(5), seconds(5));
        assert!(!schedule.is_behind(1_100));
        assert!(!schedule.is_due(1_101, seconds(64)));
        assert!(schedule.is_due(1_101, seconds(65)));
        schedule.postpone(seconds(65));
        assert!(!schedule.is_due(1_101, seconds(69)));
        assert!(schedule.is_due(1_101, seconds(70)));
    }

    #[test]
    fn a_snapshot_that_takes_long_is_taken_less_often() {
        let start = Instant::now();
        let mut schedule = SnapshotSchedule::new(Duration::from_secs(60), 1_000, 0, 100, start);
        let done = start + Duration::from_millis(500);
        schedule.taken(100, start, done);
        assert!(!schedule.is_due(1_000_000, done + Duration::from_secs(199)));
        assert!(schedule.is_due(1_000_000, done + Duration::from_secs(200)));
    }
}
