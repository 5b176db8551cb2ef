//! What the user sees while something takes long: one short line per step.
//!
//! On a terminal the line counts the seconds; elsewhere a step prints one line when it is done,
//! and says that it still runs when it takes long, so that a log never looks stuck.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Every terminal is this wide.
const TERMINAL_COLUMNS: usize = 79;

/// How steps are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Progress {
    /// A line that is rewritten every second.
    Terminal,
    /// A line per finished step, and a sign of life in between.
    Lines,
    /// Nothing: for tests, which have their own output.
    Silent,
}

impl Progress {
    /// By what standard error is.
    pub fn detect() -> Progress {
        if stderr().is_terminal() {
            Progress::Terminal
        } else {
            Progress::Lines
        }
    }

    /// Does the work while the step is shown, and says how long it took or that it failed.
    pub fn step<T, E>(self, text: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.step_with(text, String::new, work)
    }

    /// As [`Progress::step`], with a detail that changes while the work goes on.
    pub fn step_with<T, E>(
        self,
        text: &str,
        detail: impl Fn() -> String + Send,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if self == Progress::Silent {
            return work();
        }
        let started = Instant::now();
        let (finished, done) = channel::<()>();
        let result = std::thread::scope(|scope| {
            scope.spawn(move || self.show_until(&done, text, &detail, started));
            let result = work();
            drop(finished);
            result
        });
        let seconds = started.elapsed().as_secs_f64();
        let mark = if result.is_ok() { "ok    " } else { "FAILED" };
        self.put(&format!("  {mark} {text} ({seconds:.1} s)"), true);
        result
    }

    /// Shows one line of text.
    pub fn say(self, text: &str) {
        if self != Progress::Silent {
            self.put(text, true);
        }
    }

    fn show_until(self, done: &Receiver<()>, text: &str, detail: &dyn Fn() -> String, started: Instant) {
        let mut interval = match self {
            Progress::Terminal => Duration::from_millis(200),
            _ => Duration::from_secs(5),
        };
        while done.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            let seconds = started.elapsed().as_secs();
            let detail = detail();
            if self == Progress::Terminal {
                // A line that wraps could not be rewritten.
                let line = format!("  ...    {text} {seconds} s {detail}");
                self.put(&line.chars().take(TERMINAL_COLUMNS).collect::<String>(), false);
                interval = Duration::from_secs(1);
            } else {
                self.put(&format!("  ...    {text}, {seconds} s so far {detail}"), true);
                interval = Duration::from_secs(15);
            }
        }
    }

    /// Writes to standard error. A reader that has gone away must not stop the launcher, so
    /// errors are ignored.
    fn put(self, text: &str, end_line: bool) {
        let clear = if self == Progress::Terminal { "\r\x1b[K" } else { "" };
        let end = if end_line { "\n" } else { "" };
        let _ = write!(stderr(), "{clear}{text}{end}");
        let _ = stderr().flush();
    }
}
