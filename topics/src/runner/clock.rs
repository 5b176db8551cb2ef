//! When a partition gets its tick.
//!
//! The runner that owns a partition and has caught up appends the current second to the inbox while the
//! machine waits for time: at most one per second, and no further one while the last is not
//! acknowledged, so that after an outage the log gets the second of now, not a backlog.

use std::time::{Duration, Instant};

/// A partition counts as caught up for this long after its position met the end of the log, so
/// that a busy partition, which meets it only now and then, keeps its clock.
const CAUGHT_UP_FOR: Duration = Duration::from_secs(3);

/// The clock of one partition.
#[derive(Debug, Default)]
pub struct Clock {
    last_second: i64,
    outstanding: bool,
    caught_up_at: Option<Instant>,
}

impl Clock {
    /// The position met the end of the log.
    pub fn caught_up(&mut self, now: Instant) {
        self.caught_up_at = Some(now);
    }

    /// Whether the position met the end of the log, and lately.
    pub fn is_caught_up(&self, now: Instant) -> bool {
        self.caught_up_at
            .is_some_and(|at| now.saturating_duration_since(at) < CAUGHT_UP_FOR)
    }

    /// The second to append now, if any. `second` is the wall clock's; when that goes back, the
    /// partition's clock waits.
    pub fn due(&mut self, now: Instant, second: i64) -> Option<i64> {
        if self.outstanding || second <= self.last_second || !self.is_caught_up(now) {
            return None;
        }
        self.last_second = second;
        self.outstanding = true;
        Some(second)
    }

    /// The last tick is in the log.
    pub fn acknowledged(&mut self) {
        self.outstanding = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tick_per_second_and_only_when_caught_up() {
        let start = Instant::now();
        let mut clock = Clock::default();
        assert_eq!(clock.due(start, 100), None);
        clock.caught_up(start);
        assert_eq!(clock.due(start, 100), Some(100));
        clock.acknowledged();
        assert_eq!(clock.due(start, 100), None);
        assert_eq!(clock.due(start, 99), None, "time went back");
        assert_eq!(clock.due(start, 101), Some(101));
        clock.acknowledged();
        assert_eq!(clock.due(start + CAUGHT_UP_FOR, 105), None, "it fell behind");
    }

    #[test]
    fn an_outage_leaves_no_backlog() {
        let start = Instant::now();
        let mut clock = Clock::default();
        clock.caught_up(start);
        assert_eq!(clock.due(start, 100), Some(100));
        for second in 101..200 {
            assert_eq!(clock.due(start, second), None, "the last one is not acknowledged");
        }
        clock.acknowledged();
        assert_eq!(clock.due(start, 200), Some(200));
    }
}
