//! The time, read at the edge: no machine may reach it.

use jiff::Timestamp;

/// Microseconds since the epoch.
pub fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
}

/// Seconds since the epoch.
pub fn now_unix_seconds() -> i64 {
    Timestamp::now().as_second()
}
