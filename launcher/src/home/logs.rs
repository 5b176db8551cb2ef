//! The log files of a home. Those of the run before are kept, older ones are not, and none grows
//! without limit.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::layout::Layout;

/// A log that has become larger than this is set aside.
const LOG_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// As much of a log is read for a message at the most.
const TAIL_BYTES_MAX: u64 = 64 * 1024;

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

/// The last lines of a log from a position on, indented for a message. Of a line that was rewritten
/// with carriage returns, what a terminal would show in the end.
pub fn tail(log: &Path, from_bytes: u64, lines: usize) -> String {
    let text = read_from(log, |length| from_bytes.max(length.saturating_sub(TAIL_BYTES_MAX)));
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..]
        .iter()
        .map(|line| format!("  | {}\n", line.rsplit('\r').next().unwrap_or_default()))
        .collect()
}

/// The last bytes of a log as they are; nothing when it cannot be read.
pub fn end(log: &Path, bytes: u64) -> String {
    read_from(log, |length| length.saturating_sub(bytes))
}

fn read_from(log: &Path, start: impl FnOnce(u64) -> u64) -> String {
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(start(length)))?;
        file.read_to_end(&mut bytes)
    });
    read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&bytes).into_owned())
}
