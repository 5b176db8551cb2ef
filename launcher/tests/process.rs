//! Children are found again, waited for, and ended for certain.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use brokerx_launcher::failure::Failure;
use brokerx_launcher::home::Layout;
use brokerx_launcher::interrupt::poll_until;
use brokerx_launcher::ports::loopback;
use brokerx_launcher::process::Probe;
use brokerx_launcher::process::{Identity, Process, Spec, leftovers, stop_leftovers};
use brokerx_launcher::system::scratch::Scratch;
use nix::sys::signal::Signal;

const LIMIT: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(10);

fn scratch() -> Scratch {
    Scratch::new(&Layout::of_checkout()).unwrap()
}

/// A shell that says it is there and then does what `script` says.
fn shell(layout: &Layout, name: &str, script: &str) -> Spec {
    let nobody = TcpListener::bind(loopback(0)).unwrap().local_addr().unwrap();
    Spec {
        name: name.to_owned(),
        program: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".to_owned(), format!("echo started; {script}")],
        inherits: Vec::new(),
        environment: Vec::new(),
        directory: layout.home().to_owned(),
        account: None,
        address: nobody,
        probe: Probe::Kafka {
            address: nobody,
            authority: None,
        },
        ready_limit: Duration::from_millis(300),
        stop_signal: Signal::SIGTERM,
        stop_limit: Duration::from_millis(300),
        orphan_signal: Signal::SIGKILL,
        log: layout.log(name),
    }
}

fn wait_for_log(process: &Process, text: &str) {
    let log = process.spec().log.clone();
    let said = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains(text));
    assert!(poll_until(LIMIT, STEP, said), "{text} is not in {log:?}");
}

#[test]
fn a_child_that_ignores_the_stop_is_killed() {
    let scratch = scratch();
    let spec = shell(scratch.layout(), "stubborn", "trap '' TERM; while :; do sleep 1; done");
    let mut process = Process::spawn(scratch.layout(), spec).unwrap();
    wait_for_log(&process, "started");
    let identity = Identity::of(process.pid()).unwrap();
    process.stop();
    assert!(!identity.is_alive());
    assert!(leftovers(scratch.layout()).is_empty());
}

#[test]
fn a_frozen_child_still_stops_by_itself() {
    let scratch = scratch();
    let mut spec = shell(
        scratch.layout(),
        "frozen",
        "trap 'echo bye; exit 0' TERM; while :; do sleep 0.01; done",
    );
    spec.stop_limit = LIMIT;
    let mut process = Process::spawn(scratch.layout(), spec).unwrap();
    wait_for_log(&process, "started");
    process.pause();
    process.stop();
    wait_for_log(&process, "bye");
    assert_eq!(process.ended().unwrap().code(), Some(0));
}

#[test]
fn a_child_that_dies_early_is_reported_with_the_end_of_its_log() {
    let scratch = scratch();
    let spec = shell(scratch.layout(), "broken", "echo out of cheese; exit 7");
    let mut process = Process::spawn(scratch.layout(), spec).unwrap();
    let failure = process.wait_ready().unwrap_err();
    assert!(matches!(failure, Failure::NotReady { .. }));
    assert_eq!(failure.exit_code(), 8);
    let message = failure.to_string();
    assert!(message.contains("exit status: 7"), "{message}");
    assert!(message.contains("| out of cheese"), "{message}");
}

#[test]
fn a_child_that_is_never_ready_is_given_up() {
    let scratch = scratch();
    let spec = shell(scratch.layout(), "slow", "sleep 1000");
    let mut process = Process::spawn(scratch.layout(), spec).unwrap();
    let started = Instant::now();
    let message = process.wait_ready().unwrap_err().to_string();
    assert!(message.contains("not ready within"), "{message}");
    assert!(started.elapsed() < LIMIT);
}

#[test]
fn a_restarted_child_is_recorded_under_its_new_identity() {
    let scratch = scratch();
    let spec = shell(scratch.layout(), "worker", "exec sleep 1000");
    let mut process = Process::spawn(scratch.layout(), spec).unwrap();
    let before = process.pid();
    process.respawn(scratch.layout()).unwrap();
    let records = leftovers(scratch.layout());
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].identity.pid, process.pid());
    assert_ne!(process.pid(), before);
}

#[test]
fn what_a_killed_launcher_left_is_stopped_but_never_a_stranger() {
    let scratch = scratch();
    let spec = shell(scratch.layout(), "orphan", "exec sleep 1000");
    let mut process = Process::spawn(scratch.layout(), spec).unwrap();
    // A record whose start time does not fit: the pid belongs to somebody else by now.
    let record = scratch.layout().run().join("orphan.json");
    let stranger = std::fs::read_to_string(&record)
        .unwrap()
        .replace("\"start_ticks\": ", "\"start_ticks\": 9")
        .replace("orphan", "stranger");
    std::fs::write(scratch.layout().run().join("stranger.json"), stranger).unwrap();
    assert_eq!(stop_leftovers(scratch.layout()), ["orphan"]);
    let status = process.ended().unwrap();
    assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
}

/// Not a test of its own: the process that [`children_end_with_a_killed_test`] kills.
#[test]
#[ignore = "runs inside another test"]
fn holder_of_a_child() {
    let scratch = scratch();
    let spec = shell(scratch.layout(), "child", "exec sleep 1000");
    let process = Process::spawn(scratch.layout(), spec).unwrap();
    println!("\nchild {}", process.pid());
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn children_end_with_a_killed_test() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holder_of_a_child", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid: u32 = BufReader::new(holder.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("child ")?.parse().ok())
        .unwrap();
    let child = Identity::of(pid).unwrap();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(poll_until(LIMIT, STEP, || !child.is_alive()));
    // The killed process could not remove its home; the next run does.
    brokerx_launcher::system::scratch::clean_abandoned(&Layout::of_checkout(), false);
}

#[test]
fn a_child_is_left_nothing_of_the_launcher_that_is_not_named() {
    // cargo has told it to this process.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some() && std::env::var_os("CARGO_PKG_NAME").is_some());
    let scratch = scratch();
    let script = "echo \"[$CARGO_MANIFEST_DIR] [$CARGO_PKG_NAME] [$TOLD] [${PATH:+path}]\"";
    let mut spec = shell(scratch.layout(), "heir", script);
    spec.inherits = vec!["CARGO_PKG_NAME"];
    spec.environment = vec![("TOLD".to_owned(), "told".to_owned())];
    let process = Process::spawn(scratch.layout(), spec).unwrap();
    wait_for_log(&process, "[] [brokerx-launcher] [told] [path]");
}
