//! When the books are asked again to cancel the orders of an account that may not trade.
//!
//! A first sweep can be in vain: a frozen book refuses its cancels until it is delisted, an answer can be
//! passed because nobody can read it, and an account that was frozen under an older logic version was never
//! swept. So from logic version 3 on the clock asks again, less and less often, while anything is left to ask
//! about. When it is due is part of the account; who is due follows from the accounts.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// The pause after the first time, in seconds. Books answer within milliseconds, after a takeover within
/// some seconds.
const PAUSE_SECONDS_FIRST: i64 = 10;
/// No pause is longer than this, in seconds.
const PAUSE_SECONDS_MAX: i64 = 3_600;
/// An order is asked about although a cancel of it is in flight, whose answer may be lost, while fewer commands on
/// it than this are in flight: that bounds what a silent book is sent. Before logic version 4, as long as its
/// account was asked for no more often.
pub(super) const BESIDE_MAX: i32 = 16;

/// How often the books were asked for the orders of an account, and when they will be next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asks {
    count: i32,
    /// Seconds since the epoch; 0 is at the next tick.
    next_second: i64,
}

impl Asks {
    /// The books were asked for the first time.
    pub(super) fn first(second: i64) -> Self {
        Self::default().and_again(second)
    }

    /// The books were asked once more: each pause is twice as long as the one before.
    pub(super) fn and_again(self, second: i64) -> Self {
        let doublings = self.count.clamp(0, 16);
        let pause = (PAUSE_SECONDS_FIRST << doublings).min(PAUSE_SECONDS_MAX);
        Self {
            count: self.count.saturating_add(1),
            next_second: second.saturating_add(pause),
        }
    }

    /// The second in which the books are asked next.
    pub(super) fn next_second(self) -> i64 {
        self.next_second
    }

    /// Whether, before logic version 4, another cancel goes out although one of the same order is in flight.
    pub(super) fn beside_others(self) -> bool {
        self.count <= BESIDE_MAX
    }
}

/// As long as nobody was asked it is no part of the hash, as it was before there was this.
impl Hash for Asks {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if *self != Self::default() {
            (self.count, self.next_second).hash(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_double_up_to_an_hour() {
        let mut asks = Asks::first(1_000);
        let mut pauses = vec![asks.next_second() - 1_000];
        for _ in 0..20 {
            let second = asks.next_second();
            asks = asks.and_again(second);
            pauses.push(asks.next_second() - second);
        }
        assert_eq!(pauses[..10], [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600]);
        assert!(pauses[10..].iter().all(|pause| *pause == 3_600));
        assert!(Asks::first(0).beside_others() && !asks.beside_others());
        assert_eq!(Asks::first(i64::MAX).next_second(), i64::MAX);
    }
}
