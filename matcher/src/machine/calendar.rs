//! When sessions and days begin and end, from the configuration alone.
//!
//! Without a calendar the market is always open and a day is a UTC day. With one, a day is a session;
//! after the last session the market stays closed.

use brokerx_schemas::{Config, Session};

const DAY_SECONDS: i64 = 86_400;
/// At most this many days are made up for after an outage.
const DAYS_MAX: i32 = 10_000;

/// The sessions of a configuration.
#[derive(Clone, Copy)]
pub(super) struct Calendar<'a> {
    sessions: &'a [Session],
}

impl<'a> Calendar<'a> {
    pub fn of(config: &'a Config) -> Self {
        Self {
            sessions: &config.sessions,
        }
    }

    /// Whether there are sessions at all.
    pub fn has_sessions(self) -> bool {
        !self.sessions.is_empty()
    }

    /// Whether the market is open at a second since the epoch.
    pub fn is_open(self, second: i64) -> bool {
        let closed = self.sessions.partition_point(|session| session.closes_second <= second);
        self.sessions.is_empty()
            || self
                .sessions
                .get(closed)
                .is_some_and(|session| session.opens_second <= second)
    }

    /// The last day that has ended by a second; none when no day of the calendar has.
    pub fn last_ended(self, second: i64) -> Option<i32> {
        if self.sessions.is_empty() {
            return Some(day_of(second).saturating_sub(1));
        }
        let closed = self.sessions.partition_point(|session| session.closes_second <= second);
        closed.checked_sub(1).map(|last| self.sessions[last].day)
    }

    /// The day before the first that could end after a second: what a log begins with.
    pub fn day_before(self, second: i64) -> i32 {
        let yesterday = day_of(second).saturating_sub(1);
        let first = self
            .sessions
            .first()
            .map_or(yesterday, |session| session.day.saturating_sub(1));
        self.last_ended(second).unwrap_or(yesterday.min(first))
    }

    /// The first day after `day` that has ended by a second. Without a calendar, days that ended
    /// more than 27 years ago are passed over.
    pub fn next_ended(self, day: i32, second: i64) -> Option<i32> {
        let last = self.last_ended(second).filter(|last| *last > day)?;
        if self.sessions.is_empty() {
            return Some(day.saturating_add(1).max(last.saturating_sub(DAYS_MAX)));
        }
        let next = self.sessions.partition_point(|session| session.day <= day);
        let next = self.sessions.get(next).map_or(last, |session| session.day);
        (next > day).then_some(next.min(last))
    }
}

fn day_of(second: i64) -> i32 {
    i32::try_from(second.div_euclid(DAY_SECONDS)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sessions: &[(i32, i64, i64)]) -> Config {
        Config {
            sessions: sessions
                .iter()
                .map(|&(day, opens_second, closes_second)| Session {
                    day,
                    opens_second,
                    closes_second,
                })
                .collect(),
            ..Config::default()
        }
    }

    #[test]
    fn a_session_has_its_first_second_and_not_its_last() {
        let config = config(&[(1, 100, 200), (4, 300, 400)]);
        let calendar = Calendar::of(&config);
        let open = [99, 100, 199, 200, 299, 300, 399, 400, 1_000].map(|second| calendar.is_open(second));
        assert_eq!(open, [false, true, true, false, false, true, true, false, false]);
        assert_eq!(calendar.last_ended(199), None);
        assert_eq!(calendar.last_ended(200), Some(1));
        assert_eq!(calendar.next_ended(0, 500), Some(1));
        assert_eq!(calendar.next_ended(1, 399), None);
        assert_eq!(calendar.next_ended(1, 400), Some(4));
        assert_eq!(calendar.next_ended(4, i64::MAX), None);
    }

    #[test]
    fn without_sessions_a_day_is_a_utc_day() {
        let config = config(&[]);
        let calendar = Calendar::of(&config);
        assert!(calendar.is_open(0) && calendar.is_open(i64::MAX));
        assert_eq!(calendar.last_ended(86_400 * 20 - 1), Some(18));
        assert_eq!(calendar.last_ended(86_400 * 20), Some(19));
        assert_eq!(calendar.next_ended(17, 86_400 * 20), Some(18));
        assert_eq!(calendar.next_ended(19, 86_400 * 20), None);
    }
}
