//! Commands go out in small groups.
//!
//! A request to Kafka costs the broker and its client about as much as a dozen records, and what comes in together
//! stays together: settlement, the matcher and settlement again read a group with one request and answer it with one.
//! So a command that comes soon after another waits a moment, until some have come together. One that comes alone goes
//! at once.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long after a group the next one begins at the latest: what a command waits at most.
const GAP: Duration = Duration::from_millis(10);
/// So many make a group at once: with more, a request costs no more than its records.
const GROUP: u32 = 12;

/// Lets commands pass in groups.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    opened: Notify,
}

#[derive(Debug)]
struct State {
    /// When it opens for whoever waits; who comes later passes at once.
    opens_at: Instant,
    waiting: u32,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                opens_at: Instant::now(),
                waiting: 0,
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
        if self.waiting >= GROUP {
            self.opens_at = now;
        }
        self.opens(now)
    }

    /// Opens when it is time, for those who wait now; the next group begins.
    fn opens(&mut self, now: Instant) -> bool {
        let opens = now >= self.opens_at;
        if opens {
            self.waiting = 0;
            self.opens_at = now + GAP;
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
    fn who_comes_alone_goes_at_once_and_others_wait_for_each_other() {
        assert_eq!(passed(&[0, 10, 25, 100]), [0, 10, 25, 100]);
        assert_eq!(passed(&[0, 1, 5, 9, 12, 19, 21, 40]), [0, 10, 10, 10, 20, 20, 30, 40]);
    }

    #[test]
    fn a_whole_group_goes_at_once() {
        let together = GROUP as usize - 1;
        let times = [&[0][..], &vec![2; together], &[3, 4]].concat();
        let expected = [&[0][..], &vec![3; together + 1], &[13]].concat();
        assert_eq!(passed(&times), expected);
    }

    #[tokio::test]
    async fn who_gives_up_holds_up_nobody() {
        let gate = Gate::new();
        gate.pass().await;
        let gives_up = tokio::time::timeout(Duration::ZERO, gate.pass());
        let (gave_up, ()) = tokio::join!(gives_up, gate.pass());
        assert!(gave_up.is_err());
        let all = futures_util::future::join_all((0..3 * GROUP).map(|_| gate.pass()));
        tokio::time::timeout(Duration::from_secs(10), all).await.unwrap();
    }
}
