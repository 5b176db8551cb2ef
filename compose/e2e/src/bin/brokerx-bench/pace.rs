//! An open-loop pace: things are due at fixed times, whatever becomes of them.

use std::time::{Duration, Instant};

/// When the n-th thing is due.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    start: Instant,
    interval: Duration,
}

impl Pace {
    /// So many a second, from now on.
    pub fn new(per_second: u32) -> Self {
        Self {
            start: Instant::now(),
            interval: Duration::from_secs(1) / per_second,
        }
    }

    /// When it is due.
    pub fn due(&self, number: u32) -> Instant {
        self.start + self.interval * number
    }
}
