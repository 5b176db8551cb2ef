//! Pauses between tries that fail.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses that double up to the longest one, each shortened at random by up to half, so that instances
/// that failed together do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    pause: Duration,
}

/// A back-off at its first pause: 50 ms doubling to 5 s.
pub fn backoff() -> Backoff {
    Backoff::between(FIRST, LONGEST)
}

impl Backoff {
    /// A back-off at its first pause, doubling up to the longest.
    pub fn between(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            pause: first.min(longest),
        }
    }

    /// The next pause.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator would promise adapters that make no sense here"
    )]
    pub fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(self.longest);
        // The standard library's own randomness: nothing hangs on its quality.
        let shortened_percent = RandomState::new().hash_one(pause) % 51;
        pause - pause * shortened_percent as u32 / 100
    }

    /// Begins again with the first pause, after a success.
    pub fn reset(&mut self) {
        self.pause = self.first.min(self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again() {
        let mut backoff = backoff();
        let mut full = FIRST;
        for _ in 0..12 {
            let pause = backoff.next();
            assert!(pause <= full && pause >= full / 2, "{pause:?} of {full:?}");
            full = (full * 2).min(LONGEST);
        }
        assert_eq!(full, LONGEST);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
        let mut longer = Backoff::between(Duration::from_secs(60), Duration::from_secs(90));
        assert!(longer.next() >= Duration::from_secs(30));
        assert!((45..=90).contains(&longer.next().as_secs()));
        assert!((45..=90).contains(&longer.next().as_secs()));
    }
}
