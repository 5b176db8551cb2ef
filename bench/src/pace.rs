//! An open-loop pace: records and requests are due at fixed times, even when earlier ones are late.

use std::time::{Duration, Instant};

/// The first seconds are not measured: connections and identities are made in them.
const WARM_UP_SECONDS: u32 = 3;

/// When each record or request is due.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    start: Instant,
    interval: Duration,
    count: u32,
}

impl Pace {
    /// `per_second` of them, from now on, for the warm-up and `seconds` after it.
    pub fn new(per_second: u32, seconds: u32) -> Self {
        Self {
            start: Instant::now(),
            interval: Duration::from_secs(1) / per_second,
            count: per_second * (WARM_UP_SECONDS + seconds),
        }
    }

    /// How many there are, including those of the warm-up.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// When measuring begins.
    pub fn measured_from(&self) -> Instant {
        self.start + Duration::from_secs(u64::from(WARM_UP_SECONDS))
    }

    /// When number `number` is due.
    pub fn due(&self, number: u32) -> Instant {
        self.start + self.interval * number
    }
}

/// How records are sent.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// At fixed times.
    Paced {
        /// Records a second.
        rate: u32,
        /// Seconds after the warm-up.
        seconds: u32,
    },
    /// This many, as fast as they go.
    Drained(u32),
}

impl Load {
    /// The pace from now on, if there is one, and the number of records.
    pub fn begin(self) -> (Option<Pace>, u32) {
        match self {
            Self::Paced { rate, seconds } => {
                let pace = Pace::new(rate, seconds);
                (Some(pace), pace.count())
            }
            Self::Drained(records) => (None, records),
        }
    }
}
