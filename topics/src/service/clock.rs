//! The time, read at the edge: no machine may reach it.

use std::time::Duration;

use jiff::Timestamp;

/// Microseconds since the epoch.
pub fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
}

/// Seconds since the epoch.
pub fn now_unix_seconds() -> i64 {
    Timestamp::now().as_second()
}

/// Microseconds of a UTC day.
const DAY_US: i64 = 86_400 * 1_000_000;

/// The UTC day of a time in microseconds since the epoch: days since the epoch.
pub fn day_of(time_us: i64) -> i64 {
    time_us.div_euclid(DAY_US)
}

/// How long the UTC day of a time (microseconds since the epoch) still lasts: what is limited per day is free
/// again then. More than nothing, rounded up to a second.
pub fn until_midnight(time_us: i64) -> Duration {
    let left_us = (DAY_US - time_us.rem_euclid(DAY_US)).unsigned_abs();
    Duration::from_secs(left_us.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight() {
        for (second, day, left) in [(0, 0, 86_400), (1, 0, 86_399), (86_399, 0, 1), (86_400, 1, 86_400)] {
            assert_eq!(until_midnight(second * 1_000_000 + 5), Duration::from_secs(left));
            assert_eq!(day_of(second * 1_000_000 + 5), day);
        }
        assert_eq!(until_midnight(0), Duration::from_secs(86_400));
    }
}
