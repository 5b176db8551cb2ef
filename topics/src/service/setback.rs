//! A clock that is set back ends the process.
//!
//! librdkafka (2.12) waits until a time of day. A wait that began while the clock was an hour ahead lasts an
//! hour once the clock is right again, unless something comes that ends it; an idle worker has nothing such, and
//! neither applies records, nor appends ticks, nor leaves its group meanwhile. A new process has no such waits: it
//! takes up where this one was, within seconds.

use std::time::{Duration, Instant, SystemTime};

/// How often the clocks are compared.
const LOOK: Duration = Duration::from_secs(1);
/// What a clock may be set back by: waits last as much longer, once.
const TOLERATED: Duration = Duration::from_secs(15);
/// How a process ends whose clock was set back. `EX_TEMPFAIL` of sysexits.h: whoever watches it starts it again.
const EXIT_CODE: i32 = 75;

/// Watches the clock from a thread of its own, for as long as the process lives.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn watch() -> std::io::Result<()> {
    let begun = Instant::now();
    let watching = move || {
        let mut watch = Watch::default();
        loop {
            if let Some(setback) = watch.look(begun.elapsed(), since_epoch()) {
                tracing::error!(
                    seconds = setback.as_secs(),
                    "this machine's clock was set back: the process ends, as it may wait for as long, and is to be started again"
                );
                std::process::exit(EXIT_CODE);
            }
            // Not by the clock that is watched.
            std::thread::sleep(LOOK);
        }
    };
    std::thread::Builder::new()
        .name("clock".to_owned())
        .spawn(watching)
        .map(drop)
}

/// Zero when it is before the epoch.
fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// How far the clock is ahead of the time that has passed.
#[derive(Debug, Default)]
struct Watch {
    ahead: Option<Duration>,
}

impl Watch {
    /// By how much the clock was set back since the last look, when that is more than is tolerated.
    fn look(&mut self, passed: Duration, clock: Duration) -> Option<Duration> {
        let ahead = clock.saturating_sub(passed);
        let before = self.ahead.replace(ahead)?;
        let setback = before.saturating_sub(ahead);
        (setback > TOLERATED).then_some(setback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_is_set_back_is_told() {
        let mut watch = Watch::default();
        let looks = [
            (0, 1_000_000, None),
            (1, 1_000_001, None),
            // An hour ahead.
            (2, 1_003_602, None),
            (3, 1_003_603, None),
            // Right again.
            (4, 1_000_004, Some(3_600)),
            (5, 1_000_005, None),
            // Adjusted by some seconds, and a machine that slept: its clock is ahead of the time that it was awake.
            (6, 999_992, None),
            (7, 1_500_000, None),
            (8, 1_500_001, None),
            // To before the epoch.
            (9, 0, Some(1_499_993)),
        ];
        for (passed, clock, expected) in looks {
            let (passed, clock) = (Duration::from_secs(passed), Duration::from_secs(clock));
            assert_eq!(
                watch.look(passed, clock),
                expected.map(Duration::from_secs),
                "{passed:?}"
            );
        }
    }
}
