//! A clock that is set back ends the process.
//!
//! librdkafka (2.12) waits until a time of day. A wait that began while the clock was an hour ahead lasts an
//! hour once the clock is right again, unless something comes that ends it; an idle worker has nothing such, and
//! neither applies records, nor appends ticks, nor leaves its group meanwhile. A new process has no such waits: it
//! takes up where this one was, within seconds.
//!
//! What counts is how far the clock was ahead at any time within which a wait may have begun that still lasts: a
//! clock that jumped ahead and back has been ahead, however short, and two small setbacks are a large one to a wait
//! that began before both. The kernel tells of each time that somebody sets the clock, so none lies between two
//! looks; a clock that only seems to be set, as in a trial, is seen by looking.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// How often the clocks are compared when nobody tells that one was set.
const LOOK: Duration = Duration::from_secs(1);
/// What a clock may be set back by: waits last as much longer, once.
const TOLERATED: Duration = Duration::from_secs(15);
/// No wait lasts longer: librdkafka asks for metadata every five minutes.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);
/// How a process ends whose clock was set back. `EX_TEMPFAIL` of sysexits.h: whoever watches it starts it again.
const EXIT_CODE: i32 = 75;

/// Watches the clock from a thread of its own, for as long as the process lives.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn watch() -> std::io::Result<()> {
    // Without it a clock that is ahead for less than a second is not seen; the rest is.
    let alarm = Alarm::set()
        .inspect_err(|error| tracing::warn!(%error, "the kernel does not tell when this machine's clock is set"))
        .ok();
    let begun = Instant::now();
    let watching = move || {
        let mut watch = Watch::default();
        loop {
            if let Some((passed, clock)) = read_together(begun)
                && let Some(setback) = watch.look(passed, clock)
            {
                tracing::error!(
                    seconds = setback.as_secs(),
                    "this machine's clock was set back: the process ends, as it may wait for as long, and is to be started again"
                );
                std::process::exit(EXIT_CODE);
            }
            match &alarm {
                Some(alarm) => alarm.wait(LOOK),
                // Not by the clock that is watched.
                None => std::thread::sleep(LOOK),
            }
        }
    };
    std::thread::Builder::new()
        .name("clock".to_owned())
        .spawn(watching)
        .map(drop)
}

/// The time that has passed since `begun`, and that since the epoch at the same moment (zero before the epoch); none
/// when the process was stopped between the two, again and again: the clock would seem to be ahead by as much.
fn read_together(begun: Instant) -> Option<(Duration, Duration)> {
    const TRIES: u32 = 5;
    const MOMENT: Duration = Duration::from_millis(100);
    (0..TRIES).find_map(|_| {
        let passed = begun.elapsed();
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let is_moment = begun.elapsed().saturating_sub(passed) < MOMENT;
        is_moment.then(|| (passed, clock.unwrap_or_default()))
    })
}

/// The kernel's word that the clock was set.
struct Alarm(TimerFd);

impl Alarm {
    fn set() -> nix::Result<Self> {
        let timer = TimerFd::new(
            ClockId::CLOCK_REALTIME,
            TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
        )?;
        // It is never due; it is there to be cancelled, and is again as good as new once that was read.
        let never = Expiration::OneShot(TimeSpec::new(i64::MAX, 0));
        timer.set(
            never,
            TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET,
        )?;
        Ok(Self(timer))
    }

    /// Returns when the clock was set since the last call, or at the latest after `limit`.
    fn wait(&self, limit: Duration) {
        let mut timers = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let limit_ms = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
        match poll(&mut timers, limit_ms) {
            // Read, or it would be told again at once.
            Ok(1..) => drop(self.0.wait()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => std::thread::sleep(limit),
        }
    }
}

/// How far the clock was ahead of the time that has passed, and for how long that matters.
#[derive(Debug, Default)]
struct Watch {
    /// The furthest of each minute that matters, the oldest first: the minute's number, and how far.
    ahead: VecDeque<(u64, Duration)>,
}

impl Watch {
    /// By how much the clock was set back since a wait may have begun, when that is more than is tolerated.
    fn look(&mut self, passed: Duration, clock: Duration) -> Option<Duration> {
        let ahead = clock.saturating_sub(passed);
        let minute = passed.as_secs() / 60;
        let oldest = minute.saturating_sub(LONGEST_WAIT.as_secs() / 60);
        while self.ahead.front().is_some_and(|(minute, _)| *minute < oldest) {
            self.ahead.pop_front();
        }
        match self.ahead.back_mut() {
            Some((last, furthest)) if *last == minute => *furthest = ahead.max(*furthest),
            _ => self.ahead.push_back((minute, ahead)),
        }
        let furthest = self.ahead.iter().map(|(_, ahead)| *ahead).max()?;
        let setback = furthest.saturating_sub(ahead);
        (setback > TOLERATED).then_some(setback)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What each look tells: seconds that have passed, how far the clock is ahead then, by how much it was set back.
    fn tells(what: &str, looks: &[(u64, i64, Option<u64>)]) {
        let mut watch = Watch::default();
        for (passed, ahead, expected) in looks {
            let clock = 1_000_000 + *passed as i64 + ahead;
            let clock = Duration::from_secs(clock.max(0).unsigned_abs());
            assert_eq!(
                watch.look(Duration::from_secs(*passed), clock),
                expected.map(Duration::from_secs),
                "{what}, {passed} s"
            );
        }
    }

    #[test]
    fn only_a_clock_that_is_set_back_is_told() {
        tells(
            "an hour ahead, then right again",
            &[(0, 0, None), (2, 3_600, None), (3, 3_600, None), (4, 0, Some(3_600))],
        );
        tells("to before the epoch", &[(0, 0, None), (9, -2_000_000, Some(1_000_000))]);
        tells(
            "ahead and back within a second",
            &[(5, 0, None), (5, 3_600, None), (5, 0, Some(3_600))],
        );
        // A machine that sleeps: its clock is ahead of the time that it was awake.
        tells(
            "ahead for good",
            &[(0, 0, None), (7, 500_000, None), (8, 500_000, None)],
        );
        tells("adjusted", &[(0, 0, None), (1, -15, None), (900, -15, None)]);
    }

    #[test]
    fn small_setbacks_add_up_for_as_long_as_a_wait_may_last() {
        tells(
            "two at once",
            &[(0, 0, None), (1, -10, None), (2, -20, Some(20)), (3, -20, Some(20))],
        );
        tells(
            "within the longest wait",
            &[(30, 0, None), (300, -10, None), (600, -16, Some(16))],
        );
        let apart: Vec<_> = (0..24).map(|turn| (turn * 720, turn as i64 * -10, None)).collect();
        tells("far apart", &apart);
        // What was ahead is remembered from when it ended, not from when it began.
        tells(
            "after hours ahead",
            &[(0, 20, None), (9_000, 20, None), (9_540, 0, Some(20)), (9_660, 0, None)],
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut watch = Watch::default();
        for second in 0..20_000_u64 {
            let passed = Duration::from_secs(second);
            // Jitter of the two readings.
            let clock = Duration::from_secs(1_000_000 + second) - Duration::from_nanos(second);
            assert_eq!(watch.look(passed, clock), None);
        }
        assert!(watch.ahead.len() <= 11, "{}", watch.ahead.len());
    }

    #[test]
    fn the_alarm_of_a_clock_that_nobody_sets_only_waits() {
        let alarm = Alarm::set().unwrap();
        let limit = Duration::from_millis(20);
        let begun = Instant::now();
        // One that somebody sets at this very time would end one wait, but hardly three.
        (0..3).for_each(|_| alarm.wait(limit));
        assert!(begun.elapsed() >= limit, "{:?}", begun.elapsed());
        let (passed, clock) = read_together(begun).unwrap();
        assert!(passed >= limit && clock > passed);
    }
}
