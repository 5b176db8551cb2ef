//! What a system costs that nobody uses.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use brokerx_e2e::fixture::Fixture;

/// How long is counted.
const WINDOW: Duration = Duration::from_secs(3);
/// A window that something else fell into, the end of a start for example, is followed by another.
const WINDOWS: usize = 6;
/// How often a second the services wake up together, at most. There were 1,215 when each reader had
/// the broker answer every few milliseconds.
const SERVICES_LIMIT: f64 = 600.0;
/// How often a second Kafka's threads wake up, at most: 2,534 then, most of them for a request.
const KAFKA_LIMIT: f64 = 900.0;

/// Processor time depends on the machine and on what else it does. How often a thread goes to sleep by
/// itself does not: it is as often as somebody asks it for something or a time of its own is over.
pub async fn nobody_wakes_up_often_without_a_client(fixture: &Fixture) -> anyhow::Result<()> {
    let mut counted = Vec::new();
    for _ in 0..WINDOWS {
        let before = wake_ups(fixture)?;
        let started = Instant::now();
        tokio::time::sleep(WINDOW).await;
        let after = wake_ups(fixture)?;
        let seconds = started.elapsed().as_secs_f64();
        let [services, kafka] = [0, 1].map(|part| after[part].saturating_sub(before[part]) as f64 / seconds);
        if services <= SERVICES_LIMIT && kafka <= KAFKA_LIMIT {
            return Ok(());
        }
        counted.push((services.round(), kafka.round()));
    }
    bail!("wake-ups a second of the services and of Kafka, window by window: {counted:?}")
}

/// How often all threads of the services, and those of Kafka, have gone to sleep by themselves.
fn wake_ups(fixture: &Fixture) -> anyhow::Result<[u64; 2]> {
    let mut system = fixture.system();
    let mut sums = [0, 0];
    for process in system.processes_mut() {
        let part = match process.name() {
            "kafka" => 1,
            "postgres" | "registry" => continue,
            _ => 0,
        };
        for task in fs::read_dir(format!("/proc/{}/task", process.pid()))? {
            // A thread may end in between; what it did is small against the rest.
            let Ok(status) = fs::read_to_string(task?.path().join("status")) else {
                continue;
            };
            let switches = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
                .context("a thread's status says nothing about context switches")?;
            sums[part] += switches.trim().parse::<u64>()?;
        }
    }
    Ok(sums)
}
