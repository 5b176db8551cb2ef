//! Records of what runs, by which a later launcher finds and stops what an earlier one left behind.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::failure::Result;
use crate::home::{Layout, files};
use crate::interrupt::poll_until;

use super::identity::Identity;

const POLL: Duration = Duration::from_millis(20);

/// What is written about a running component.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunRecord {
    /// The component.
    pub name: String,
    /// The process.
    pub identity: Identity,
    /// Where it listens.
    pub address: String,
    /// When it was started, seconds since the epoch.
    pub started_at_s: u64,
    /// The number of the signal that asks it to stop.
    pub stop_signal: i32,
}

impl RunRecord {
    /// Writes it to its file under `run/`.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        files::replace(path, &serde_json::to_vec_pretty(self).unwrap_or_default())
    }
}

/// The recorded components that still live, whoever started them. Stale records are removed.
pub fn leftovers(layout: &Layout) -> Vec<RunRecord> {
    let Ok(entries) = fs::read_dir(layout.run()) else {
        return Vec::new();
    };
    let mut alive: Vec<RunRecord> = entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|kind| kind == "json"))
        .filter_map(|entry| {
            let record: RunRecord = serde_json::from_slice(&fs::read(entry.path()).ok()?).ok()?;
            if !record.identity.is_alive() {
                let _ = fs::remove_file(entry.path());
                return None;
            }
            Some(record)
        })
        .collect();
    alive.sort_by_key(|record| record.started_at_s);
    alive
}

/// Stops what a launcher that was killed has left running, the latest first. Says which.
pub fn stop_leftovers(layout: &Layout) -> Vec<String> {
    let mut stopped = Vec::new();
    for record in leftovers(layout).into_iter().rev() {
        let pid = Pid::from_raw(record.identity.pid as i32);
        let _ = kill(pid, Signal::try_from(record.stop_signal).ok());
        let _ = kill(pid, Signal::SIGCONT);
        let gone = || !record.identity.is_alive();
        if !poll_until(Duration::from_secs(10), POLL, gone) {
            let _ = killpg(pid, Signal::SIGKILL);
            poll_until(Duration::from_secs(5), POLL, gone);
        }
        let _ = fs::remove_file(layout.run().join(format!("{}.json", record.name)));
        stopped.push(record.name);
    }
    stopped
}
