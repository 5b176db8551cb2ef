//! The book beside a published engine and the naive book, on the same commands in one run:
//! `cargo run --release -p brokerx-matcher --example engines`.
//!
//! About 60 % new orders, 35 % cancels and replaces, 5 % that take; the book keeps its size. The
//! commands are made before the clock starts; the first of them fill the books. Throughput is timed
//! over all commands, latency around each of them in a run of its own, so that the clock's cost is
//! in the latencies only. Engines take turns, since the machine may be noisy: compare within one
//! run.
//!
//! The book checks its invariants after every command, as it does in the machine, and prevents
//! self-trades; the published engine does neither here. `machine` is the whole machine with every record
//! that it would send, which no other line includes.

mod allocations;
mod book;
mod engine;
mod machine;
mod messages;
mod naive;
mod published;
mod stream;

use std::time::Instant;

use allocations::Counting;
use engine::Engine;
use stream::Stream;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The figures of one engine.
#[derive(Default)]
struct Report {
    name: &'static str,
    per_second: Vec<f64>,
    latencies_ns: Vec<u32>,
    allocations_per_command: f64,
    trades: usize,
}

const ROUNDS: usize = 5;
const COMMANDS: usize = 2_000_000;

fn run<E: Engine>(stream: &Stream, report: &mut Report) {
    let commands = &stream.commands[..stream
        .commands
        .len()
        .min(E::COMMANDS_MAX.saturating_add(stream.warm_up))];
    let (warm_up, measured) = commands.split_at(stream.warm_up.min(commands.len()));
    let mut engine = E::new(stream.symbols);
    warm_up.iter().for_each(|command| {
        engine.apply(command);
    });
    let allocations = allocations::count();
    let start = Instant::now();
    let trades: usize = measured.iter().map(|command| engine.apply(command)).sum();
    let elapsed = start.elapsed();
    report.name = E::NAME;
    report.trades = trades;
    report.allocations_per_command = (allocations::count() - allocations) as f64 / measured.len() as f64;
    report.per_second.push(measured.len() as f64 / elapsed.as_secs_f64());

    let mut engine = E::new(stream.symbols);
    warm_up.iter().for_each(|command| {
        engine.apply(command);
    });
    report.latencies_ns.reserve(measured.len());
    let mut last = Instant::now();
    for command in measured {
        engine.apply(command);
        let now = Instant::now();
        report
            .latencies_ns
            .push(u32::try_from((now - last).as_nanos()).unwrap_or(u32::MAX));
        last = now;
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    for symbols in [1, 1_000] {
        let stream = Stream::new(symbols, COMMANDS);
        let mut reports: [Report; 4] = Default::default();
        for _ in 0..ROUNDS {
            run::<book::Own>(&stream, &mut reports[0]);
            run::<machine::Whole>(&stream, &mut reports[1]);
            run::<published::OrderbookRs>(&stream, &mut reports[2]);
            run::<naive::Naive>(&stream, &mut reports[3]);
        }
        println!(
            "{symbols} symbols, {COMMANDS} commands, some {} orders rest",
            stream.resting
        );
        println!("engine         commands/s      p50      p99    p99.9  allocations/command   trades   book is");
        let own = median(&mut reports[0].per_second);
        for report in &mut reports {
            let per_second = median(&mut report.per_second);
            report.latencies_ns.sort_unstable();
            let percentile = |permille: usize| report.latencies_ns[(report.latencies_ns.len() - 1) * permille / 1_000];
            println!(
                "{:<13} {:>11.0} {:>6} ns {:>5} ns {:>5} ns {:>20.3} {:>8} {:>7.1} x",
                report.name,
                per_second,
                percentile(500),
                percentile(990),
                percentile(999),
                report.allocations_per_command,
                report.trades,
                own / per_second
            );
        }
    }
}
