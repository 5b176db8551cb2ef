//! What the processes of the system have used: what an order costs, on whatever machine.
//!
//! Latencies depend on what else a machine does; processor time, context switches and requests per order much less. They
//! are read from `/proc` for each process of the system ([`Meter`]) before and after a measurement, and divided by
//! its orders.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use brokerx_bench::measured::PerOrder;
use serde_json::Value;

/// Asks a broker for its own counters, by the attachment that every Java process of the same user offers.
const REQUESTS: &str = include_str!("../java/Requests.java");
/// Kinds that are left out: by the first the benchmark learns when all is quiet, and nobody asks so for an order; the
/// others are counted as `Fetch` as well.
const NOT_COUNTED: [&str; 3] = ["ListOffsets", "FetchConsumer", "FetchFollower"];
/// Who does nothing on the way of an order.
const BESIDE: [&str; 2] = ["provider", "registry"];

/// Reads what the processes of a home have used.
pub struct Meter {
    home: PathBuf,
    /// Where the program is that asks the broker; none when this machine cannot run it.
    requests: Option<PathBuf>,
    ticks_per_second: f64,
}

/// What has been used since the processes began.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// By process.
    processes: BTreeMap<String, Process>,
    /// Requests that the broker answered, by kind.
    requests: BTreeMap<String, u64>,
    /// Bytes of Kafka's logs.
    kafka_bytes: u64,
    /// Bytes of the database.
    database_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Process {
    processor_s: f64,
    /// Voluntary: it had nothing to do, or waited for another.
    switches: u64,
    resident_bytes: u64,
}

impl Meter {
    /// A meter of the system in a home.
    pub fn new(home: &Path) -> anyhow::Result<Self> {
        let ticks = Command::new("getconf").arg("CLK_TCK").output().context("getconf")?;
        let ticks_per_second = String::from_utf8_lossy(&ticks.stdout).trim().parse().unwrap_or(100.0);
        let folder = std::env::temp_dir().join(format!("brokerx-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let program = folder.join("Requests.java");
        fs::write(&program, REQUESTS)?;
        let mut meter = Self {
            home: home.to_owned(),
            requests: Some(program),
            ticks_per_second,
        };
        if let Err(error) = meter.requests() {
            println!("requests are not counted: {error:#}");
            meter.requests = None;
        }
        Ok(meter)
    }

    /// What has been used until now.
    ///
    /// # Errors
    /// When the system does not run.
    pub fn read(&self, database_bytes: u64) -> anyhow::Result<Used> {
        // First, and its own processor time is nobody's here.
        let requests = self.requests()?;
        let children = children()?;
        let mut processes = BTreeMap::new();
        for (name, pid) in self.pids()? {
            if !BESIDE.contains(&name.as_str()) {
                let mut used = Process::default();
                self.add(pid, &children, &mut used);
                processes.insert(name, used);
            }
        }
        Ok(Used {
            processes,
            requests,
            kafka_bytes: size_of(&self.home.join("data").join("kafka")),
            database_bytes,
        })
    }

    fn pids(&self) -> anyhow::Result<Vec<(String, u32)>> {
        let mut pids = Vec::new();
        let folder = self.home.join("run");
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let process: Value = serde_json::from_slice(&fs::read(&path)?)?;
            let (name, pid) = (process["name"].as_str(), process["identity"]["pid"].as_u64());
            let name = name.context("a process without a name")?.to_owned();
            pids.push((name, u32::try_from(pid.context("a process without a number")?)?));
        }
        ensure!(!pids.is_empty(), "{} names no process", folder.display());
        Ok(pids)
    }

    /// Adds what a process and all below it have used. One that is gone meanwhile has used nothing.
    fn add(&self, pid: u32, children: &BTreeMap<u32, Vec<u32>>, used: &mut Process) {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let stat = fs::read_to_string(folder.join("stat")).unwrap_or_default();
        used.processor_s += ticks(&stat) / self.ticks_per_second;
        let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
        used.resident_bytes += field(&status, "VmRSS:") * 1024;
        for thread in fs::read_dir(folder.join("task")).into_iter().flatten().flatten() {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            used.switches += field(&status, "voluntary_ctxt_switches:");
        }
        for child in children.get(&pid).into_iter().flatten() {
            self.add(*child, children, used);
        }
    }

    /// What the broker has answered; empty when it cannot be asked.
    fn requests(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let Some(program) = &self.requests else {
            return Ok(BTreeMap::new());
        };
        let pids = self.pids()?;
        let broker = pids
            .iter()
            .find(|(name, _)| name == "kafka")
            .context("no broker runs")?;
        let asked = Command::new("java").arg(program).arg(broker.1.to_string()).output()?;
        ensure!(
            asked.status.success(),
            "{}",
            String::from_utf8_lossy(&asked.stderr).trim()
        );
        let told = String::from_utf8_lossy(&asked.stdout);
        let lines = told.lines().filter_map(|line| {
            let (kind, count) = line.split_once(' ')?;
            NOT_COUNTED.iter().all(|other| *other != kind).then_some(())?;
            Some((kind.to_owned(), count.parse().ok()?))
        });
        Ok(lines.collect())
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(folder) = self.requests.as_deref().and_then(Path::parent) {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// The children of each process.
fn children() -> anyhow::Result<BTreeMap<u32, Vec<u32>>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = behind_name(&stat).nth(1).and_then(|parent| parent.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    Ok(children)
}

/// The fields of `/proc/PID/stat` behind the name, which may hold anything: the first is the state.
fn behind_name(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace()
}

/// Clock ticks in user and in system mode, and those of children that have ended: fields 14 to 17 of proc(5).
fn ticks(stat: &str) -> f64 {
    behind_name(stat)
        .skip(11)
        .take(4)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum()
}

fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn size_of(path: &Path) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else {
        return 0;
    };
    match found.is_dir() {
        true => fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| size_of(&entry.path()))
            .sum(),
        // A log's indexes are made in their full size, and written by and by.
        false => std::os::unix::fs::MetadataExt::blocks(&found) * 512,
    }
}

impl Used {
    /// Since an earlier look.
    fn since(&self, earlier: &Self) -> Self {
        let processes = self.processes.iter().map(|(name, now)| {
            let then = earlier.processes.get(name).copied().unwrap_or_default();
            let used = Process {
                processor_s: (now.processor_s - then.processor_s).max(0.0),
                switches: now.switches.saturating_sub(then.switches),
                resident_bytes: now.resident_bytes.saturating_sub(then.resident_bytes),
            };
            (name.clone(), used)
        });
        let requests = self.requests.iter().map(|(kind, now)| {
            let then = earlier.requests.get(kind).copied().unwrap_or(0);
            (kind.clone(), now.saturating_sub(then))
        });
        Self {
            processes: processes.collect(),
            requests: requests.collect(),
            kafka_bytes: self.kafka_bytes.saturating_sub(earlier.kafka_bytes),
            database_bytes: self.database_bytes.saturating_sub(earlier.database_bytes),
        }
    }
}

/// What an order cost.
#[derive(Clone, Debug)]
pub struct Cost {
    used: Used,
    orders: f64,
}

impl Cost {
    /// Of so many orders, between two looks.
    pub fn of(orders: u32, before: &Used, after: &Used) -> Self {
        Self {
            used: after.since(before),
            orders: f64::from(orders).max(1.0),
        }
    }

    /// Milliseconds of processor time.
    pub fn processor_ms(&self) -> f64 {
        let all: f64 = self.used.processes.values().map(|process| process.processor_s).sum();
        all * 1e3 / self.orders
    }

    /// Voluntary context switches.
    pub fn switches(&self) -> f64 {
        let all: u64 = self.used.processes.values().map(|process| process.switches).sum();
        all as f64 / self.orders
    }

    /// Requests that the broker answered.
    pub fn requests(&self) -> f64 {
        self.used.requests.values().sum::<u64>() as f64 / self.orders
    }

    /// All of it.
    pub fn per_order(&self) -> PerOrder {
        let processes = self.used.processes.iter();
        let kinds = self.used.requests.iter();
        PerOrder {
            processor_ms: self.processor_ms(),
            switches: self.switches(),
            requests: self.requests(),
            kafka_bytes: self.used.kafka_bytes as f64 / self.orders,
            database_bytes: self.used.database_bytes as f64 / self.orders,
            by_process: processes
                .map(|(name, used)| (name.clone(), used.processor_s * 1e3 / self.orders))
                .collect(),
            by_kind: kinds
                .map(|(kind, count)| (kind.clone(), *count as f64 / self.orders))
                .collect(),
        }
    }

    /// A table for people: by process, and the requests by kind.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "per order: {:.3} ms of processor time, {:.1} context switches, {:.2} requests to Kafka, {:.0} bytes in Kafka, {:.0} in PostgreSQL",
            self.processor_ms(),
            self.switches(),
            self.requests(),
            self.used.kafka_bytes as f64 / self.orders,
            self.used.database_bytes as f64 / self.orders,
        )];
        for (name, used) in &self.used.processes {
            lines.push(format!(
                "  {name:<12} {:7.3} ms {:8.1} switches {:+9.1} MB resident",
                used.processor_s * 1e3 / self.orders,
                used.switches as f64 / self.orders,
                used.resident_bytes as f64 / 1e6,
            ));
        }
        let kinds = self
            .used
            .requests
            .iter()
            .filter(|(_, count)| **count as f64 / self.orders >= 0.005);
        let kinds: Vec<_> = kinds
            .map(|(kind, count)| format!("{kind} {:.2}", *count as f64 / self.orders))
            .collect();
        if !kinds.is_empty() {
            lines.push(format!("  requests: {}", kinds.join(", ")));
        }
        lines
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a (strange) name) S 7 42 42 0 -1 4194560 100 0 0 0 350 150 9 9 20 0 1 0 4048988 1 1";

    #[test]
    fn what_proc_says_is_read_behind_any_name() {
        assert_eq!(ticks(STAT), 518.0);
        assert_eq!(behind_name(STAT).nth(1), Some("7"));
        let status = "Name:\tx\nVmRSS:\t    1024 kB\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(
            (field(status, "VmRSS:"), field(status, "voluntary_ctxt_switches:")),
            (1024, 12)
        );
    }

    #[test]
    fn a_cost_is_what_was_used_between_two_looks() {
        let used = |processor_s, switches, produced| Used {
            processes: BTreeMap::from([(
                "kafka".to_owned(),
                Process {
                    processor_s,
                    switches,
                    resident_bytes: 0,
                },
            )]),
            requests: BTreeMap::from([("Produce".to_owned(), produced)]),
            ..Used::default()
        };
        let cost = Cost::of(100, &used(1.0, 1_000, 50), &used(1.5, 3_000, 450));
        assert!((cost.processor_ms() - 5.0).abs() < 1e-9);
        assert!((cost.switches() - 20.0).abs() < 1e-9);
        assert!((cost.requests() - 4.0).abs() < 1e-9);
        let own = Cost::of(1, &Used::default(), &used(0.0, 0, 0));
        assert!(own.lines()[0].contains("0.00 requests"));
    }

    #[test]
    fn this_process_has_used_something() {
        let meter = Meter {
            home: PathBuf::new(),
            requests: None,
            ticks_per_second: 100.0,
        };
        let mut used = Process::default();
        meter.add(std::process::id(), &children().unwrap(), &mut used);
        assert!(used.resident_bytes > 0);
        assert!(meter.read(0).is_err(), "no system runs in no home");
    }
}
