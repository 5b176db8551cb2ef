//! `status`: what runs, and whether it can serve.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::home::Layout;
use crate::platform::{Transport, kafka, postgres, registry};
use crate::ports::loopback;
use crate::process::Probe;
use crate::process::{RunRecord, leftovers};
use crate::system::instances;
use crate::system::services::SERVICES;
use crate::system::state::{Phase, State};

/// How to show it.
#[derive(Debug, Args)]
pub struct Arguments {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    phase: Phase,
    supervisor_pid: u32,
    components: Vec<Component>,
}

#[derive(Debug, Serialize)]
struct Component {
    name: String,
    state: &'static str,
    address: String,
    pid: Option<u32>,
    uptime_s: Option<u64>,
    memory_mebibytes: Option<u64>,
    log: String,
}

/// Prints a table or JSON. The exit code is 0 when everything is ready, else 8.
///
/// # Errors
/// [`Failure::NotRunning`].
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<ExitCode> {
    let Some(state) = State::load(layout) else {
        let left: Vec<String> = leftovers(layout).into_iter().map(|it| it.name).collect();
        if left.is_empty() {
            return Err(Failure::NotRunning);
        }
        return Err(Failure::Corrupt(format!(
            "the supervisor was killed and has left running: {}; stop it with: ./brokerx down",
            left.join(", ")
        )));
    };
    let records = leftovers(layout);
    let report = Report {
        phase: state.phase,
        supervisor_pid: state.supervisor.pid,
        components: expected(&state, &Transport::of_home(layout))
            .into_iter()
            .map(|(name, probe, address)| {
                let record = records.iter().find(|record| record.name == name);
                component(layout, name, &probe, address, record)
            })
            .collect(),
    };
    let all_ready = report.components.iter().all(|it| it.state == "ready");
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        print_table(&report);
    }
    Ok(if all_ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(8)
    })
}

fn expected(state: &State, transport: &Transport) -> Vec<(&'static str, Probe, String)> {
    let ports = &state.ports;
    let mut components = vec![
        ("kafka", kafka::probe(ports, transport), ports.kafka),
        ("postgres", postgres::probe(ports, transport), ports.postgres),
        ("registry", registry::probe(ports, transport), ports.registry),
    ];
    if state.services {
        components.extend(SERVICES.iter().map(|service| {
            let ports = service.ports(ports);
            (service.name, instances::probe(service, ports, transport), ports.main)
        }));
    }
    components
        .into_iter()
        .map(|(name, probe, port)| (name, probe, loopback(port).to_string()))
        .collect()
}

fn component(layout: &Layout, name: &str, probe: &Probe, address: String, record: Option<&RunRecord>) -> Component {
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    Component {
        name: name.to_owned(),
        state: match record {
            None => "down",
            Some(_) if probe.is_ready() => "ready",
            Some(_) => "not ready",
        },
        address,
        pid: record.map(|record| record.identity.pid),
        uptime_s: record.map(|record| now_s.saturating_sub(record.started_at_s)),
        memory_mebibytes: record.map(|record| record.identity.memory_mebibytes()),
        log: layout.log(name).display().to_string(),
    }
}

fn print_table(report: &Report) {
    let phase = match report.phase {
        Phase::Starting => "starting",
        Phase::Ready => "running",
        Phase::Stopping => "stopping",
    };
    println!("BrokerX is {phase} (supervisor: pid {})", report.supervisor_pid);
    println!(
        "{:<12}{:<11}{:<17}{:>8}{:>10}{:>10}",
        "component", "state", "address", "pid", "uptime", "memory"
    );
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    for it in &report.components {
        println!(
            "{:<12}{:<11}{:<17}{:>8}{:>10}{:>10}",
            it.name,
            it.state,
            it.address,
            or_dash(it.pid.map(|pid| pid.to_string())),
            or_dash(it.uptime_s.map(duration)),
            or_dash(it.memory_mebibytes.map(|memory| format!("{memory} MiB"))),
        );
    }
}

fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(59), "59s");
        assert_eq!(duration(61), "1m01s");
        assert_eq!(duration(3_660), "1h01m");
    }
}
