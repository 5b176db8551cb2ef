//! This machine's clock beside the broker's.
//!
//! Deadlines, ticks and heartbeats are compared with the broker's append times, so a clock that is wrong
//! makes orders expire, or stops the ticks, while everything else looks well. It is measured by what is
//! read anyway: a record that is read as it comes was appended a moment ago. The least delay of some
//! seconds is that moment and the difference of both clocks; a delay below zero is the difference alone.
//! Nobody can tell whose clock is wrong: that is for who reads the check.
//!
//! In an idle system this is the heartbeat of each book partition and second: the matcher reads the tick
//! that causes it, ingress, notifier and the settlement that projects read the heartbeat itself. A
//! settlement that owns no busy partition and stands by for another's projection reads nothing and knows
//! nothing, and stamps nothing either: what it will write to, it reads first.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use super::clock::now_us;
use super::{Check, Health, Metrics};

/// The least delay is looked for over so long.
const WINDOW: Duration = Duration::from_secs(3);
/// A clock may be this far behind the broker's, milliseconds: a fraction of the deadline of a request.
const BEHIND_MS_MAX: i64 = 1_000;
/// A clock may be this far ahead, with the time on the way, milliseconds.
const AHEAD_MS_MAX: i64 = 2_000;
/// Without a record for so long nothing is known of the clock any more.
const FORGET: Duration = Duration::from_secs(30);

/// Measures; every clone of a process measures the same clock.
#[derive(Clone, Debug)]
pub struct ClockWatch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    skew: Gauge<f64, AtomicU64>,
    check: Check,
    measure: Mutex<Measure>,
}

/// Made once per process: what drives several machines has one clock.
static WATCH: OnceLock<ClockWatch> = OnceLock::new();

impl ClockWatch {
    /// The process's watch; the first call registers the metric and the check `clock`.
    pub fn of_process(metrics: &mut Metrics, health: &Health) -> Self {
        let watch = WATCH.get_or_init(|| {
            let skew = Gauge::default();
            skew.set(f64::NAN);
            metrics.sub_registry_with_prefix("clock").register_with_unit(
                "skew",
                "How far this machine's clock is ahead of the broker's, with the time that a record takes on its way; negative when it is behind, NaN while nothing is read",
                Unit::Seconds,
                skew.clone(),
            );
            let check = health.add("clock");
            check.set(true, "not measured yet");
            Self {
                shared: Arc::new(Shared {
                    skew,
                    check,
                    measure: Mutex::default(),
                }),
            }
        });
        watch.clone()
    }

    /// A record was read as it came, which the broker appended at this time, milliseconds since the epoch.
    pub fn read(&self, appended_ms: i64) {
        self.take(|measure, now| measure.read(now_us() / 1_000 - appended_ms, now));
    }

    /// Nothing was read: after a while nothing is known.
    pub fn nothing_read(&self) {
        self.take(Measure::nothing_read);
    }

    fn take(&self, step: impl FnOnce(&mut Measure, Instant) -> Option<Verdict>) {
        let mut measure = self.shared.measure.lock().unwrap_or_else(PoisonError::into_inner);
        match step(&mut measure, Instant::now()) {
            None => {}
            Some(Verdict::Unknown) => {
                self.shared.skew.set(f64::NAN);
                self.shared.check.set(true, "not measured lately");
            }
            Some(Verdict::Skew(skew_ms)) => {
                let seconds = skew_ms as f64 / 1_000.0;
                self.shared.skew.set(seconds);
                if skew_ms < -BEHIND_MS_MAX {
                    let why = format!("this machine's clock and the broker's differ: {:.1} s behind", -seconds);
                    self.shared.check.set(false, &why);
                } else if skew_ms > AHEAD_MS_MAX {
                    let why = format!(
                        "this machine's clock and the broker's differ, or records come late: {seconds:.1} s ahead"
                    );
                    self.shared.check.set(false, &why);
                } else {
                    self.shared.check.set(true, "agrees with the broker's");
                }
            }
        }
    }
}

/// What follows from the delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Ahead by so many milliseconds.
    Skew(i64),
    /// Nothing came for a while.
    Unknown,
}

#[derive(Debug, Default)]
struct Measure {
    /// The window that is open: when it began, and the least delay in it, milliseconds.
    window: Option<(Instant, i64)>,
    read_at: Option<Instant>,
}

impl Measure {
    fn read(&mut self, delay_ms: i64, now: Instant) -> Option<Verdict> {
        self.read_at = Some(now);
        let (began, least) = *self.window.get_or_insert((now, delay_ms));
        let least = least.min(delay_ms);
        self.window = Some((began, least));
        if delay_ms < -BEHIND_MS_MAX {
            // No record is read before it was appended: there is nothing to wait for.
            return Some(Verdict::Skew(least));
        }
        if now.saturating_duration_since(began) < WINDOW {
            return None;
        }
        self.window = None;
        Some(Verdict::Skew(least))
    }

    fn nothing_read(&mut self, now: Instant) -> Option<Verdict> {
        let read_at = self.read_at?;
        if now.saturating_duration_since(read_at) < FORGET {
            return None;
        }
        *self = Self::default();
        Some(Verdict::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(delays: impl IntoIterator<Item = (u64, i64)>) -> Vec<Verdict> {
        let start = Instant::now();
        let mut measure = Measure::default();
        let delays = delays.into_iter();
        delays
            .filter_map(|(after_ms, delay_ms)| measure.read(delay_ms, start + Duration::from_millis(after_ms)))
            .collect()
    }

    #[test]
    fn the_least_delay_of_a_window_counts() {
        let seen = verdicts([
            (0, 40),
            (1_000, 4_000),
            (2_000, 12),
            (3_000, 30),
            (3_500, 9),
            (6_500, 20),
        ]);
        assert_eq!(
            seen,
            [Verdict::Skew(12), Verdict::Skew(9)],
            "one late record says nothing"
        );
    }

    #[test]
    fn a_clock_that_is_behind_shows_with_the_first_record() {
        assert_eq!(verdicts([(0, -10_000)]), [Verdict::Skew(-10_000)]);
        assert_eq!(verdicts([(0, -900)]), [], "a little is what clocks do");
    }

    #[test]
    fn a_jump_is_over_with_the_window_behind_it() {
        let seen = verdicts([
            (0, 5),
            (3_000, 3_600_000),
            (3_100, 3_600_004),
            (6_100, 3_600_003),
            (6_200, 6),
            (9_200, 8),
        ]);
        assert_eq!(seen, [Verdict::Skew(5), Verdict::Skew(3_600_003), Verdict::Skew(6)]);
    }

    #[test]
    fn after_a_while_without_records_nothing_is_known() {
        let start = Instant::now();
        let mut measure = Measure::default();
        assert_eq!(measure.nothing_read(start), None);
        measure.read(-10_000, start);
        assert_eq!(measure.nothing_read(start + FORGET / 2), None);
        assert_eq!(measure.nothing_read(start + FORGET), Some(Verdict::Unknown));
        assert_eq!(measure.nothing_read(start + FORGET * 2), None, "once");
    }
}
