//! Times in JSON: RFC 3339 in UTC with microseconds.

use jiff::Timestamp;

/// RFC 3339 of microseconds since the epoch, such as `2030-01-02T03:04:05.000006Z`.
pub fn rfc3339(microseconds: i64) -> String {
    // No time here lies beyond the year 9999. If one did, it would show as the epoch rather than fail a read.
    let timestamp = Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{timestamp:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_digits_after_the_second() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(1_893_553_445_000_006), "2030-01-02T03:04:05.000006Z");
        assert_eq!(rfc3339(i64::MAX), "1970-01-01T00:00:00.000000Z");
    }
}
