#!/usr/bin/env bash
# rdkafka (Rust) 0.39.0: a FutureProducer or ThreadedProducer that sends nothing is never idle.
#
# One would guess: the thread that waits for delivery reports sleeps until one comes, and an idle
# producer costs nothing.
# What happens: it polls for 100 ms at a time, and `BaseProducer::poll` hands librdkafka what is left of
# that in whole milliseconds, again and again until the time is over: the last fraction of a millisecond
# of each poll is a poll of 0 ms, repeated. Seen over 10 s without a record, of one processor:
#   the thread of a FutureProducer                    about 0.9 %
#   a thread that polls a BaseProducer for 5 s each   about 0.02 %
# What follows: each such producer takes most of a percent of a processor for ever. A process with a few
# of them, or one that polls consumers for times that are not whole milliseconds, is better off with a
# BaseProducer and a thread with long polls: a report that comes is handled at once all the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "idle-producer"
version = "0.0.0"
edition = "2021"

[dependencies]
rdkafka = { version = "=0.39.0", default-features = false, features = ["libz", "tokio"] }
TOML
cat > src/main.rs <<'RUST'
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, FutureProducer};
use rdkafka::ClientConfig;

/// Nanoseconds that threads of this name have run.
fn run_ns(name: &str) -> u64 {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        if fs::read_to_string(task.join("comm")).unwrap().trim() == name {
            let schedstat = fs::read_to_string(task.join("schedstat")).unwrap();
            sum += schedstat.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
    sum
}

fn main() {
    // A broker inside this process, so that nobody tries to connect again and again.
    let cluster = MockCluster::new(1).unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    let _future: FutureProducer = config.create().unwrap();
    let base: BaseProducer = config.create().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("long-polls".to_owned())
            .spawn_scoped(scope, || {
                while !stop.load(Ordering::Relaxed) {
                    base.poll(Duration::from_secs(5));
                }
            })
            .unwrap();
        std::thread::sleep(Duration::from_secs(2));
        // The kernel keeps 15 letters of the name "producer polling thread".
        let names = ["producer pollin", "long-polls"];
        let before = names.map(run_ns);
        std::thread::sleep(Duration::from_secs(10));
        let after = names.map(run_ns);
        stop.store(true, Ordering::Relaxed);
        let percent = |index: usize| (after[index] - before[index]) as f64 / 1e8;
        let (future, long) = (percent(0), percent(1));
        println!("FutureProducer {future:.3} %, long polls {long:.3} % of a processor");
        assert!(before[0] > 0, "the thread has another name");
        assert!(future > 0.15 && future > 5.0 * long, "an idle FutureProducer is idle now");
    });
}
RUST
cargo run --quiet --release
echo "as described"
