//! Commands go out in small groups.
//!
//! A request to Kafka costs the broker and its client about as much as a dozen records, and what comes in together
//! stays together: settlement, the matcher and settlement again read a group with one request and answer it with one.
//! So while many commands come, each waits a moment, until some have come together. While few come, nobody waits.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long after a group the next one begins at the latest: what a command waits at most.
const GAP: Duration = Duration::from_millis(20);
/// So many make a group at once: with more, a request costs no more than its records.
const GROUP: u32 = 12;
/// Nobody waits as long as this many took longer than [`WORTH`]: fewer than two would come together.
const LATEST: usize = 8;
const WORTH: Duration = Duration::from_millis(80);

/// Lets commands pass in groups.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    opened: Notify,
}

#[derive(Debug)]
struct State {
    gap: Duration,
    /// When it opens for whoever waits; who comes later passes at once.
    opens_at: Instant,
    waiting: u32,
    /// When the latest came.
    latest: VecDeque<Instant>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self::of(GAP)
    }

    /// With another gap than [`GAP`]; with none nobody waits.
    pub(super) fn of(gap: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                gap,
                opens_at: Instant::now(),
                waiting: 0,
                latest: VecDeque::with_capacity(LATEST),
            }),
            opened: Notify::new(),
        }
    }

    /// Waits for its group, [`GAP`] at most. Who gives up waiting holds up nobody.
    pub(super) async fn pass(&self) {
        let mut opened = pin!(self.opened.notified());
        let opens_at = {
            let mut state = self.state();
            if state.passes(Instant::now()) {
                self.opened.notify_waiters();
                return;
            }
            opened.as_mut().enable();
            state.opens_at
        };
        if timeout_at(opens_at, opened).await.is_err() {
            self.state().opens(Instant::now());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// One more comes: whether it passes at once, and with it all who wait.
    fn passes(&mut self, now: Instant) -> bool {
        self.waiting += 1;
        if self.waiting >= GROUP || !self.many_come(now) {
            self.opens_at = now;
        }
        self.opens(now)
    }

    /// Whether waiting brings some together.
    fn many_come(&mut self, now: Instant) -> bool {
        let oldest = match self.latest.len() {
            LATEST => self.latest.pop_front(),
            _ => None,
        };
        self.latest.push_back(now);
        oldest.is_some_and(|oldest| now - oldest <= WORTH)
    }

    /// Opens when it is time, for those who wait now; the next group begins.
    fn opens(&mut self, now: Instant) -> bool {
        let opens = now >= self.opens_at;
        if opens {
            self.waiting = 0;
            self.opens_at = now + self.gap;
        }
        opens
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Commands that come at these times, in ms: when each goes out.
    fn passed(times: &[u64]) -> Vec<u64> {
        let mut gate = Gate::new();
        let state = gate.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let start = state.opens_at;
        let ms = |at: Instant| (at - start).as_millis() as u64;
        let mut passed = Vec::new();
        let mut waiting = 0;
        for now in times.iter().map(|at| start + Duration::from_millis(*at)) {
            let opens_at = state.opens_at;
            if waiting > 0 && opens_at <= now {
                assert!(state.opens(opens_at));
                passed.extend(vec![ms(opens_at); std::mem::take(&mut waiting)]);
            }
            waiting += 1;
            if state.passes(now) {
                passed.extend(vec![ms(now); std::mem::take(&mut waiting)]);
            }
        }
        passed.extend(vec![ms(state.opens_at); waiting]);
        passed
    }

    #[test]
    fn while_few_come_nobody_waits() {
        assert_eq!(passed(&[0, 1, 5, 9, 12, 100, 101]), [0, 1, 5, 9, 12, 100, 101]);
        let every_11_ms: Vec<u64> = (0..50).map(|number| number * 11).collect();
        assert_eq!(passed(&every_11_ms), every_11_ms);
    }

    #[test]
    fn while_many_come_they_wait_for_each_other() {
        // As many as it takes to see that.
        let many = [0; LATEST];
        let times = [&many[..], &[1, 5, 19, 22, 39, 41, 59, 200]].concat();
        let expected = [&many[..], &[20, 20, 20, 40, 40, 60, 60, 200]].concat();
        assert_eq!(passed(&times), expected);
    }

    #[test]
    fn a_whole_group_goes_at_once() {
        let many = [0; LATEST];
        let together = GROUP as usize - 1;
        let times = [&many[..], &vec![2; together], &[3, 4]].concat();
        let expected = [&many[..], &vec![3; together + 1], &[23]].concat();
        assert_eq!(passed(&times), expected);
    }

    #[tokio::test]
    async fn who_gives_up_holds_up_nobody() {
        let gate = Gate::new();
        for _ in 0..=LATEST {
            gate.pass().await;
        }
        let gives_up = tokio::time::timeout(Duration::ZERO, gate.pass());
        let (gave_up, ()) = tokio::join!(gives_up, gate.pass());
        assert!(gave_up.is_err());
        let all = futures_util::future::join_all((0..3 * GROUP).map(|_| gate.pass()));
        tokio::time::timeout(Duration::from_secs(10), all).await.unwrap();
    }
}
