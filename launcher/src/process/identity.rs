//! Which process a recorded pid was, so that a recycled pid is recognised.

use std::fs;

use serde::{Deserialize, Serialize};

/// What tells a process from all others: its pid, its start time, and the boot that both belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Start time since boot in clock ticks, from `/proc/PID/stat`.
    pub start_ticks: u64,
    /// The kernel's random id of this boot.
    pub boot: String,
}

impl Identity {
    /// The identity of a live process; none when it does not exist or is a zombie.
    pub fn of(pid: u32) -> Option<Identity> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Identity {
            pid,
            start_ticks: start_ticks(&stat)?,
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .unwrap_or_default()
                .trim()
                .to_owned(),
        })
    }

    /// Whether that very process still lives.
    pub fn is_alive(&self) -> bool {
        Identity::of(self.pid).as_ref() == Some(self)
    }

    /// Resident memory, MiB; 0 when unknown.
    pub fn memory_mebibytes(&self) -> u64 {
        fs::read_to_string(format!("/proc/{}/status", self.pid))
            .ok()
            .and_then(|status| {
                let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
                line.split_whitespace().nth(1)?.parse::<u64>().ok()
            })
            .map_or(0, |kibibytes| kibibytes / 1024)
    }
}

/// Every live process that descends from `pid`, found through the parents in `/proc`.
pub(super) fn descendants(pid: u32) -> Vec<Identity> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let child = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((child, parent(&stat)?))
        })
        .collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&ancestor) = family.get(next) {
        let children = parents.iter().filter(|(_, parent)| *parent == ancestor);
        family.extend(children.map(|(child, _)| child));
        next += 1;
    }
    family[1..].iter().filter_map(|pid| Identity::of(*pid)).collect()
}

/// Field 4 of `/proc/PID/stat`.
fn parent(stat: &str) -> Option<u32> {
    stat.get(stat.rfind(')')? + 2..)?.split(' ').nth(1)?.parse().ok()
}

/// Field 22 of `/proc/PID/stat`, none for a zombie. The name in field 2 may hold spaces and
/// parentheses, so fields are counted from the last one.
fn start_ticks(stat: &str) -> Option<u64> {
    let after_name = stat.get(stat.rfind(')')? + 2..)?;
    let fields: Vec<&str> = after_name.split(' ').collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = "7 (a) b)) S 1 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 98765 1 2";
        assert_eq!(start_ticks(stat), Some(98765));
        assert_eq!(parent(stat), Some(1));
        assert_eq!(start_ticks(&stat.replace(" S ", " Z ")), None);
    }

    #[test]
    fn another_start_time_is_another_process() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        let recycled = Identity {
            start_ticks: me.start_ticks + 1,
            ..me
        };
        assert!(!recycled.is_alive());
    }
}
