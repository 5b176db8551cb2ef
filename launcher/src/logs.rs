//! The log files of a home: the previous run's are kept once, and none grows without limit.

use std::fs::{self, File};
use std::path::PathBuf;

use crate::layout::Layout;

/// A log is cut when it is larger than this.
const LOG_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Renames every `NAME.log` to `NAME.log.1`, before a run.
pub fn set_aside(layout: &Layout) {
    for log in all(layout) {
        let _ = fs::rename(&log, log.with_extension("log.1"));
    }
}

/// Copies a log that is too large to `NAME.log.1` and empties it. The components have it open for
/// appending, so they go on at its new end.
pub fn limit_sizes(layout: &Layout) {
    for log in all(layout) {
        let too_large = fs::metadata(&log).is_ok_and(|file| file.len() > LOG_BYTES_MAX);
        if too_large && fs::copy(&log, log.with_extension("log.1")).is_ok() {
            let _ = File::options().write(true).open(&log).and_then(|file| file.set_len(0));
        }
    }
}

/// The logs of this run.
pub fn all(layout: &Layout) -> Vec<PathBuf> {
    let mut logs: Vec<PathBuf> = fs::read_dir(layout.logs())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "log"))
        .collect();
    logs.sort();
    logs
}
