//! A rate with room for bursts: the generic cell rate algorithm. Its whole state is one number, the time at
//! which the bucket is full again; where that is kept is the caller's matter.

use std::time::Duration;

/// So many at once, and in the long run one in each interval.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    interval_ns: u64,
    burst_ns: u64,
}

impl Rate {
    /// `burst` at once, at least 1, and in the long run one in each `interval`.
    pub fn every(interval: Duration, burst: u32) -> Self {
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        Self {
            interval_ns,
            burst_ns: interval_ns.saturating_mul(u64::from(burst.max(1))),
        }
    }

    /// Takes one from a bucket that is full again at `full_at_ns` (0 at first), at a time on the same clock.
    /// Returns when it is full again then.
    ///
    /// # Errors
    /// When it is empty: the time until it holds one.
    pub fn take(&self, full_at_ns: u64, now_ns: u64) -> Result<u64, Duration> {
        let next_ns = full_at_ns.max(now_ns).saturating_add(self.interval_ns);
        match next_ns.checked_sub(now_ns.saturating_add(self.burst_ns)) {
            None | Some(0) => Ok(next_ns),
            Some(wait_ns) => Err(Duration::from_nanos(wait_ns)),
        }
    }
}
