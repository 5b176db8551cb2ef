//! How fast a client may speak: a rate with room for bursts, then refusals, then the end.

use std::time::{Duration, Instant};

use brokerx_topics::service::Rate;

/// Refusals that a client may cause at once before its connection ends: it should have slowed down.
const REFUSALS: u32 = 20;
/// In the long run, one refusal in this time.
const REFUSALS_APART: Duration = Duration::from_secs(1);

/// The pace of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    messages: Bucket,
    refusals: Bucket,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is taken.
    Taken,
    /// It is refused: too many came before it.
    Refused,
    /// It is refused, and so were too many before it.
    Ended,
}

impl Pace {
    /// `per_second` messages in the long run, `burst` at once; both at least 1.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        Self {
            messages: Bucket::new(Duration::from_secs(1) / per_second.max(1), burst),
            refusals: Bucket::new(REFUSALS_APART, REFUSALS),
        }
    }

    /// Counts a message.
    pub(super) fn count(&mut self, now: Instant) -> Verdict {
        if self.messages.take(now) {
            Verdict::Taken
        } else if self.refusals.take(now) {
            Verdict::Refused
        } else {
            Verdict::Ended
        }
    }
}

/// A bucket of its own for one connection.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    epoch: Instant,
    full_at_ns: u64,
}

impl Bucket {
    fn new(interval: Duration, burst: u32) -> Self {
        Self {
            rate: Rate::every(interval, burst),
            epoch: Instant::now(),
            full_at_ns: 0,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let now_ns = now.saturating_duration_since(self.epoch).as_nanos() as u64;
        let taken = self.rate.take(self.full_at_ns, now_ns);
        self.full_at_ns = taken.unwrap_or(self.full_at_ns);
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_then_comes_the_end() {
        let mut pace = Pace::new(10, 5);
        let start = Instant::now();
        let mut count = |ms: u64, times: u32| -> Vec<Verdict> {
            (0..times)
                .map(|_| pace.count(start + Duration::from_millis(ms)))
                .collect()
        };
        assert_eq!(count(0, 5), [Verdict::Taken; 5]);
        assert_eq!(count(0, 1), [Verdict::Refused]);
        assert_eq!(count(100, 2), [Verdict::Taken, Verdict::Refused]);
        // Who slows down is served on and on.
        for second in 1..100 {
            assert_eq!(count(second * 1_000, 5), [Verdict::Taken; 5], "{second}");
        }
        // Who does not is refused for a while, and then it is over.
        let flood = count(200_000, 5 + REFUSALS + 1);
        assert_eq!(flood[..5], [Verdict::Taken; 5]);
        assert_eq!(flood[5..25], [Verdict::Refused; REFUSALS as usize]);
        assert_eq!(flood[25..], [Verdict::Ended]);
    }
}
