//! Whether there is the memory for what is about to be done: of the machine, and of the control
//! groups (the limits of a container) that this process lives in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Shortage;

use super::Intent;
use super::programs::NeededBy;

/// What a start needs. Running: Kafka 0.85 GiB in the first hour (its heap may grow to 1 GiB), the
/// registry 0.2 GiB, PostgreSQL and the workers 0.25 GiB. Building, before that: 1.1 GiB where two
/// processors compile the largest crates at once.
const UP_MEBIBYTES: u64 = 1_500;
/// What the tests need: test programs are compiled beside each other, and trials run a system beside
/// models of their own. An estimate, not a measurement.
const TEST_MEBIBYTES: u64 = 2_000;

/// How much is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// MiB.
    pub mebibytes: u64,
    /// What for.
    pub purpose: &'static str,
}

/// What will be needed at one time.
pub fn need(intent: Intent) -> Need {
    let (mebibytes, purpose) = match intent.by {
        NeededBy::Test => (TEST_MEBIBYTES, "the tests"),
        NeededBy::Build | NeededBy::Up => (UP_MEBIBYTES, "building and running BrokerX"),
    };
    Need { mebibytes, purpose }
}

/// Whether there is too little.
pub fn shortage(need: Need, available: &Available) -> Option<Shortage> {
    (available.mebibytes < need.mebibytes).then(|| Shortage {
        of: format!("memory {}", available.limited_by),
        purpose: need.purpose.to_owned(),
        needed_mebibytes: need.mebibytes,
        available_mebibytes: available.mebibytes,
        advice: "end other programs, or give the machine or the container more".to_owned(),
    })
}

/// Memory that can be had now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Available {
    /// MiB; as good as endless when the system does not tell.
    pub mebibytes: u64,
    /// What sets the limit, e.g. `on this machine`.
    pub limited_by: String,
}

impl Available {
    /// Of this machine and of the control groups of this process.
    pub fn now() -> Available {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let groups = directories(&own)
            .into_iter()
            .filter_map(|directory| Group::read(&directory));
        Available::of(&meminfo, groups)
    }

    fn of(meminfo: &str, groups: impl IntoIterator<Item = Group>) -> Available {
        let machine = Available {
            mebibytes: of_machine(meminfo),
            limited_by: "on this machine".to_owned(),
        };
        groups.into_iter().fold(machine, |least, group| {
            let mebibytes = group.left_bytes() >> 20;
            if mebibytes >= least.mebibytes {
                return least;
            }
            Available {
                mebibytes,
                limited_by: format!("in the control group {}", group.directory.display()),
            }
        })
    }
}

/// What the kernel expects to be able to give without swapping, and the swap that is free.
fn of_machine(meminfo: &str) -> u64 {
    let kibibytes = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
    };
    kibibytes("MemAvailable").map_or(u64::MAX, |available| {
        (available + kibibytes("SwapFree").unwrap_or(0)) / 1024
    })
}

/// A control group with a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    directory: PathBuf,
    limit_bytes: u64,
    used_bytes: u64,
    /// The part of it that is cached files, which the kernel gives back when asked.
    cache_bytes: u64,
}

impl Group {
    /// None where there is no limit.
    fn read(directory: &Path) -> Option<Group> {
        let number = |names: [&str; 2]| -> Option<u64> {
            let text = names
                .iter()
                .find_map(|name| fs::read_to_string(directory.join(name)).ok())?;
            text.trim().parse().ok()
        };
        let statistics = fs::read_to_string(directory.join("memory.stat")).unwrap_or_default();
        Some(Group {
            directory: directory.to_owned(),
            // Version 2 says `max` where there is no limit.
            limit_bytes: number(["memory.max", "memory.limit_in_bytes"])?,
            used_bytes: number(["memory.current", "memory.usage_in_bytes"])?,
            cache_bytes: cache_bytes(&statistics),
        })
    }

    fn left_bytes(&self) -> u64 {
        let held = self.used_bytes.saturating_sub(self.cache_bytes);
        self.limit_bytes.saturating_sub(held)
    }
}

/// The cached files in a `memory.stat`. Version 1 counts those of the groups below apart, as
/// `total_...`.
fn cache_bytes(statistics: &str) -> u64 {
    let sum = |prefix: &str| -> Option<u64> {
        let value = |name: &str| -> Option<u64> {
            let line = statistics
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{prefix}{name} ")))?;
            line.trim().parse().ok()
        };
        Some(value("active_file")? + value("inactive_file")?)
    };
    sum("total_").or_else(|| sum("")).unwrap_or(0)
}

/// The directories of the control groups named in `/proc/self/cgroup`, from the innermost outwards:
/// any of them may have the tightest limit.
fn directories(own: &str) -> Vec<PathBuf> {
    own.lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            let root = match controllers {
                "" => Path::new("/sys/fs/cgroup"),
                "memory" => Path::new("/sys/fs/cgroup/memory"),
                _ => return None,
            };
            let innermost = root.join(path.trim_start_matches('/'));
            let outwards = innermost
                .ancestors()
                .take_while(|directory| directory.starts_with(root));
            Some(outwards.map(Path::to_owned).collect::<Vec<_>>())
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal: 8000000 kB\nMemFree: 100000 kB\nMemAvailable: 4194304 kB\nSwapFree: 1048576 kB\n";

    fn group(limit_mebibytes: u64, used_mebibytes: u64, cache_mebibytes: u64) -> Group {
        Group {
            directory: PathBuf::from("/sys/fs/cgroup/box"),
            limit_bytes: limit_mebibytes << 20,
            used_bytes: used_mebibytes << 20,
            cache_bytes: cache_mebibytes << 20,
        }
    }

    #[test]
    fn available_memory_and_free_swap_count() {
        assert_eq!(of_machine(MEMINFO), 5 * 1024);
        assert_eq!(of_machine(""), u64::MAX);
    }

    #[test]
    fn the_tightest_limit_counts_and_is_named() {
        let machine = Available::of(MEMINFO, []);
        assert_eq!(
            (machine.mebibytes, machine.limited_by.as_str()),
            (5_120, "on this machine")
        );
        assert_eq!(Available::of(MEMINFO, [group(6_000, 0, 0)]).mebibytes, 5_120);
        let tight = Available::of(MEMINFO, [group(6_000, 0, 0), group(2_000, 500, 100)]);
        assert_eq!(tight.mebibytes, 1_600, "cached files can be had back");
        assert!(tight.limited_by.contains("/sys/fs/cgroup/box"), "{tight:?}");
        // A limit that was lowered below what is used.
        assert_eq!(group(100, 500, 100).left_bytes(), 0);
    }

    #[test]
    fn cached_files_are_read_in_both_versions() {
        assert_eq!(cache_bytes("anon 9\nactive_file 3\ninactive_file 4\n"), 7);
        let version_1 = "active_file 1\ninactive_file 1\ntotal_active_file 5\ntotal_inactive_file 6\n";
        assert_eq!(cache_bytes(version_1), 11);
        assert_eq!(cache_bytes(""), 0);
    }

    #[test]
    fn every_group_outwards_is_looked_at() {
        let paths = |text: &str| -> Vec<String> {
            directories(text)
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        };
        assert_eq!(
            paths("0::/a/b\n"),
            ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"]
        );
        assert_eq!(
            paths("5:devices:/x\n4:memory:/y\n"),
            ["/sys/fs/cgroup/memory/y", "/sys/fs/cgroup/memory"]
        );
    }

    #[test]
    fn enough_is_enough_to_the_last_mebibyte() {
        let intent = |by| Intent {
            by,
            builds: true,
            fetches: false,
        };
        let with = |mebibytes| Available {
            mebibytes,
            limited_by: "on this machine".to_owned(),
        };
        for (by, needed) in [(NeededBy::Up, UP_MEBIBYTES), (NeededBy::Test, TEST_MEBIBYTES)] {
            assert_eq!(shortage(need(intent(by)), &with(needed)), None);
            let short = shortage(need(intent(by)), &with(needed - 1));
            assert_eq!(short.map(|short| short.needed_mebibytes), Some(needed));
        }
    }
}
