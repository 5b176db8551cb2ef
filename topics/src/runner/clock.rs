//! When a partition gets its tick.
//!
//! The runner that owns a partition and has caught up appends the current second to the inbox while the
//! machine waits for time: at most one per second, and no further one while the last is not
//! acknowledged, so that after an outage the log gets the second of now, not a backlog.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

/// A partition counts as caught up for this long after its position met the end of the log, so
/// that a busy partition, which meets it only now and then, keeps its clock.
const CAUGHT_UP_FOR: Duration = Duration::from_secs(3);

/// Between two ticks when the wall clock goes back.
const PERIOD: Duration = Duration::from_secs(1);

/// The clock of one partition.
#[derive(Debug, Default)]
pub struct Clock {
    last_second: i64,
    /// When the last tick was given.
    last_at: Option<Instant>,
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

    /// The second to append now, if any. `second` is the wall clock's. When that goes back, ticks go on a
    /// second later with what it says then: it may have been far ahead for a moment, and the fold, which
    /// believes no tick that is ahead of its append time, has not followed it. One that the fold has seen
    /// already changes nothing.
    pub fn due(&mut self, now: Instant, second: i64) -> Option<i64> {
        let since_last = self.last_at.map(|at| now.saturating_duration_since(at));
        let is_next = match second.cmp(&self.last_second) {
            Ordering::Greater => true,
            Ordering::Equal => false,
            Ordering::Less => since_last.is_none_or(|since| since >= PERIOD),
        };
        if self.outstanding || !is_next || !self.is_caught_up(now) {
            return None;
        }
        self.last_second = second;
        self.last_at = Some(now);
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
    fn a_wall_clock_that_was_an_hour_ahead_for_three_seconds_costs_three() {
        let start = Instant::now();
        let mut clock = Clock::default();
        let mut ticks = Vec::new();
        for second in 0..8 {
            let now = start + PERIOD * second;
            clock.caught_up(now);
            let wall = i64::from(second) + if (2..5).contains(&second) { 3_600 } else { 0 };
            ticks.extend(clock.due(now, 1_000 + wall));
            clock.acknowledged();
        }
        assert_eq!(ticks, [1_000, 1_001, 4_602, 4_603, 4_604, 1_005, 1_006, 1_007]);
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
