//! What the user sees while something takes long: one short line per step, with its number among
//! the steps that are planned, e.g. `3/14 starting kafka`.
//!
//! On a terminal the line counts the seconds and is rewritten. Elsewhere a step prints one line
//! when it is done, and now and then one that says how far it is, so that a log never looks stuck.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A line is cut to this, as it could not be rewritten if it wrapped: every terminal is this wide.
const TERMINAL_COLUMNS: usize = 79;

/// How steps are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Style {
    /// A line that is rewritten every second.
    Terminal,
    /// A line per finished step, and a sign of life in between.
    Lines,
    /// Nothing: for tests, which have their own output.
    Silent,
}

/// Shows steps, numbered where it is known how many there will be. A clone goes on with the same
/// numbers.
#[derive(Debug, Clone)]
pub struct Progress {
    style: Style,
    plan: Option<Arc<Plan>>,
    /// Whether a step is shown while it goes on, and not only when it has ended.
    shows_running: bool,
}

#[derive(Debug)]
struct Plan {
    begun: AtomicUsize,
    total: usize,
}

impl Progress {
    /// In this style, without numbers.
    pub fn new(style: Style) -> Progress {
        Progress {
            style,
            plan: None,
            shows_running: true,
        }
    }

    /// In the style that suits what standard error is.
    pub fn detect() -> Progress {
        Progress::new(if stderr().is_terminal() {
            Style::Terminal
        } else {
            Style::Lines
        })
    }

    /// The same style for a piece of work of so many steps, numbered from 1.
    pub fn planned(&self, total: usize) -> Progress {
        let begun = AtomicUsize::new(0);
        Progress {
            style: self.style,
            plan: Some(Arc::new(Plan { begun, total })),
            shows_running: true,
        }
    }

    /// The same plan, for steps beside others: each is one line when it has ended, and the line of
    /// what goes on meanwhile belongs to the others.
    pub fn beside(&self) -> Progress {
        Progress {
            shows_running: false,
            ..self.clone()
        }
    }

    /// The same style for what comes after, or instead of, the planned steps.
    pub fn unplanned(&self) -> Progress {
        Progress::new(self.style)
    }

    /// How steps are shown.
    pub fn style(&self) -> Style {
        self.style
    }

    /// Does the work while the step is shown, and says how long it took or that it failed.
    pub fn step<T, E>(&self, text: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.step_with(text, String::new, work)
    }

    /// As [`Progress::step`], with a detail that changes while the work goes on.
    pub fn step_with<T, E>(
        &self,
        text: &str,
        detail: impl Fn() -> String + Send,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if self.style == Style::Silent {
            return work();
        }
        let text = format!("{}{text}", self.next_number());
        let started = Instant::now();
        let (finished, done) = channel::<()>();
        let result = std::thread::scope(|scope| {
            let text = &text;
            if self.shows_running {
                scope.spawn(move || self.show_until(&done, text, &detail, started));
            }
            let result = work();
            drop(finished);
            result
        });
        let seconds = started.elapsed().as_secs_f64();
        let mark = if result.is_ok() { "ok    " } else { "FAILED" };
        self.put(&format!("  {mark} {text} ({seconds:.1} s)"), true);
        result
    }

    /// The number of the step that begins, e.g. ` 3/14 `; nothing without a plan.
    fn next_number(&self) -> String {
        self.plan.as_ref().map_or_else(String::new, |plan| {
            let number = plan.begun.fetch_add(1, Ordering::Relaxed) + 1;
            format!("{number:>2}/{} ", plan.total)
        })
    }

    /// Shows one line of text.
    pub fn say(&self, text: &str) {
        if self.style != Style::Silent {
            self.put(text, true);
        }
    }

    fn show_until(&self, done: &Receiver<()>, text: &str, detail: &dyn Fn() -> String, started: Instant) {
        let mut interval = match self.style {
            Style::Terminal => Duration::from_millis(200),
            _ => Duration::from_secs(5),
        };
        while done.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            let seconds = started.elapsed().as_secs();
            let detail = detail();
            if self.style == Style::Terminal {
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
    fn put(&self, text: &str, end_line: bool) {
        let clear = if self.style == Style::Terminal { "\r\x1b[K" } else { "" };
        let end = if end_line { "\n" } else { "" };
        let _ = write!(stderr(), "{clear}{text}{end}");
        let _ = stderr().flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planned_steps_are_numbered_across_clones() {
        let progress = Progress::new(Style::Lines);
        assert_eq!(progress.next_number(), "");
        let planned = progress.planned(12);
        assert_eq!(planned.next_number(), " 1/12 ");
        assert_eq!(planned.clone().next_number(), " 2/12 ");
        assert_eq!(planned.next_number(), " 3/12 ");
        assert_eq!(planned.unplanned().next_number(), "");
    }
}
