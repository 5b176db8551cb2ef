//! An open-loop pace: things are due at fixed times, whatever becomes of them.

use std::time::{Duration, Instant};

/// The first seconds are not measured: connections and identities are made in them.
const WARM_UP_SECONDS: u32 = 3;

/// When the n-th thing is due.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    start: Instant,
    interval: Duration,
    count: u32,
}

impl Pace {
    /// So many a second, from now on, for a warm-up and so many seconds after it.
    pub fn new(per_second: u32, seconds: u32) -> Self {
        Self {
            start: Instant::now(),
            interval: Duration::from_secs(1) / per_second,
            count: per_second * (WARM_UP_SECONDS + seconds),
        }
    }

    /// How many things there are, those of the warm-up included.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// From when on they are measured.
    pub fn measured_from(&self) -> Instant {
        self.start + Duration::from_secs(u64::from(WARM_UP_SECONDS))
    }

    /// When it is due.
    pub fn due(&self, number: u32) -> Instant {
        self.start + self.interval * number
    }
}

/// How records are sent.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// At fixed times.
    Paced {
        /// So many a second.
        rate: u32,
        /// For so long, after the warm-up.
        seconds: u32,
    },
    /// So many as fast as they go.
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
