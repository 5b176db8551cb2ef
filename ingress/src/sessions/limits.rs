//! How many wrong passwords are too many.
//!
//! Three counts, each over the same window:
//! - per e-mail and network: a fixed limit, low;
//! - per network, whatever the e-mail: a fixed limit, higher, because many clients may share an address;
//! - per e-mail, wherever from: beyond a limit each further wrong password makes the next try wait longer.
//!   A client who has logged in from a network before does not wait there: otherwise anybody could lock
//!   anybody out.
//!
//! What is judged here is one [`Count`]; [`super::tries`] holds them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The first delay of an e-mail; each further wrong password doubles it, up to the window.
const DELAY_FIRST: Duration = Duration::from_secs(1);

/// How many wrong passwords are too many.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Per e-mail and network.
    pub per_pair: usize,
    /// Per network.
    pub per_network: usize,
    /// Per e-mail, before delays begin.
    pub per_email: usize,
    /// The window in which wrong passwords count.
    pub window: Duration,
}

/// What happens at a limit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// Nothing more until a wrong try leaves the window.
    Fixed(usize),
    /// One try at a time, after a delay that grows.
    Growing(usize),
}

/// Whether one more may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It may.
    Free,
    /// It depends on how those end that are on their way.
    Busy,
    /// Not before this.
    Refused(Instant),
}

/// The tries of one key.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// When passwords were wrong, oldest first.
    wrong: VecDeque<Instant>,
    /// Tries whose password is not decided yet.
    pub(super) in_flight: usize,
}

impl Rule {
    /// How many wrong tries have to be remembered to judge one more.
    pub(super) fn memory(self, window: Duration) -> usize {
        match self {
            Self::Fixed(limit) => limit,
            // From then on the delay is the whole window.
            Self::Growing(limit) => limit + delays(window),
        }
    }
}

/// How often a delay can double before it is the whole window.
fn delays(window: Duration) -> usize {
    let ratio = window.as_secs() / DELAY_FIRST.as_secs();
    ratio.max(1).ilog2() as usize + 2
}

impl Count {
    /// Judges one more try at `now`.
    pub(super) fn judge(&mut self, rule: Rule, window: Duration, now: Instant) -> Judgement {
        self.forget(window, now);
        let wrong = self.wrong.len();
        match rule {
            Rule::Fixed(limit) if wrong >= limit => Judgement::Refused(self.wrong[wrong - limit] + window),
            Rule::Growing(limit) if wrong >= limit => {
                let doubled = u32::try_from(wrong - limit).unwrap_or(u32::MAX);
                let delay = 2_u32.checked_pow(doubled).map_or(window, |times| DELAY_FIRST * times);
                // There is one: the limit is at least 1.
                let last = self.wrong.back().copied().unwrap_or(now);
                match last + delay.min(window) {
                    until if now < until => Judgement::Refused(until),
                    _ if self.in_flight > 0 => Judgement::Busy,
                    _ => Judgement::Free,
                }
            }
            Rule::Fixed(limit) | Rule::Growing(limit) if wrong + self.in_flight >= limit => Judgement::Busy,
            _ => Judgement::Free,
        }
    }

    /// A try was wrong.
    pub(super) fn add(&mut self, now: Instant, memory: usize) {
        if self.wrong.len() >= memory {
            self.wrong.pop_front();
        }
        self.wrong.push_back(now);
    }

    /// Takes over what the database remembers, when that is more: other instances write there, and it
    /// survives a restart. `ages` of wrong tries, youngest first.
    pub(super) fn learn(&mut self, ages: &[Duration], window: Duration, now: Instant) {
        self.forget(window, now);
        if ages.len() > self.wrong.len() {
            self.wrong = ages.iter().rev().filter_map(|age| now.checked_sub(*age)).collect();
        }
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_over(&mut self, window: Duration, now: Instant) -> bool {
        self.forget(window, now);
        self.in_flight == 0 && self.wrong.is_empty()
    }

    fn forget(&mut self, window: Duration, now: Instant) {
        while self.wrong.front().is_some_and(|wrong| *wrong + window <= now) {
            self.wrong.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(900);

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn a_fixed_limit_holds_until_a_wrong_try_leaves_the_window() {
        let start = Instant::now();
        let mut count = Count::default();
        let rule = Rule::Fixed(3);
        for second in 0..3 {
            assert_eq!(count.judge(rule, WINDOW, start + seconds(second)), Judgement::Free);
            count.add(start + seconds(second), rule.memory(WINDOW));
        }
        let refused = Judgement::Refused(start + WINDOW);
        assert_eq!(count.judge(rule, WINDOW, start + seconds(10)), refused);
        assert_eq!(count.judge(rule, WINDOW, start + WINDOW), Judgement::Free);
        count.add(start + WINDOW, rule.memory(WINDOW));
        let refused = Judgement::Refused(start + WINDOW + seconds(1));
        assert_eq!(count.judge(rule, WINDOW, start + WINDOW), refused);
    }

    #[test]
    fn what_is_on_its_way_counts() {
        let now = Instant::now();
        let mut count = Count {
            in_flight: 2,
            ..Count::default()
        };
        count.add(now, 3);
        assert_eq!(count.judge(Rule::Fixed(3), WINDOW, now), Judgement::Busy);
        assert_eq!(count.judge(Rule::Fixed(4), WINDOW, now), Judgement::Free);
        assert_eq!(count.judge(Rule::Growing(3), WINDOW, now), Judgement::Busy);
    }

    #[test]
    fn a_delay_grows_up_to_the_window() {
        let rule = Rule::Growing(2);
        let mut now = Instant::now();
        let mut count = Count::default();
        let mut delays = Vec::new();
        for _ in 0..2 {
            assert_eq!(count.judge(rule, WINDOW, now), Judgement::Free);
            count.add(now, rule.memory(WINDOW));
        }
        while let Judgement::Refused(until) = count.judge(rule, WINDOW, now) {
            delays.push((until - now).as_secs());
            now = until;
            if delays.len() == 5 {
                break;
            }
            assert_eq!(count.judge(rule, WINDOW, now), Judgement::Free);
            count.in_flight = 1;
            assert_eq!(count.judge(rule, WINDOW, now), Judgement::Busy, "one at a time");
            count.in_flight = 0;
            count.add(now, rule.memory(WINDOW));
        }
        assert_eq!(delays, [1, 2, 4, 8, 16]);
        for _ in 0..20 {
            count.add(now, rule.memory(WINDOW));
        }
        assert_eq!(count.judge(rule, WINDOW, now), Judgement::Refused(now + WINDOW));
    }

    #[test]
    fn the_database_may_know_more() {
        let now = Instant::now() + WINDOW;
        let mut count = Count::default();
        count.add(now, 5);
        count.learn(&[seconds(1)], WINDOW, now);
        assert_eq!(
            count.judge(Rule::Fixed(1), WINDOW, now),
            Judgement::Refused(now + WINDOW)
        );
        count.learn(&[seconds(1), seconds(20)], WINDOW, now);
        let until = now + WINDOW - seconds(20);
        assert_eq!(count.judge(Rule::Fixed(2), WINDOW, now), Judgement::Refused(until));
    }
}
