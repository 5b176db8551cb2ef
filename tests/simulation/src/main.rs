//! Runs seeds of the simulation: `brokerx-simulation --from 0 --count 100000`, or replays one with
//! `--from SEED --count 1`.

use std::process::ExitCode;

use brokerx_simulation::world::{Plan, run};
use clap::Parser;

/// The pipeline without Kafka under a seeded scheduler of faults.
#[derive(Parser)]
struct Options {
    /// First seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    count: u64,
    /// Steps of each run.
    #[arg(long, default_value_t = 1_500)]
    steps: u32,
    /// Faults in 1,000 steps.
    #[arg(long, default_value_t = 40)]
    faults_per_thousand: u32,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (mut records, mut trades, mut faults) = (0, 0, 0);
    for seed in options.from..options.from + options.count {
        let plan = Plan {
            steps: options.steps,
            faults_per_thousand: options.faults_per_thousand,
            ..Plan::of_seed(seed)
        };
        let outcome = run(plan);
        records += outcome.records;
        trades += outcome.trades;
        faults += outcome.faults;
        if !outcome.findings.is_empty() {
            eprintln!("seed {seed} (replay with --from {seed} --count 1):");
            for finding in &outcome.findings {
                eprintln!("  {finding}");
            }
            return ExitCode::FAILURE;
        }
    }
    println!(
        "{} seeds: {records} records, {trades} trades, {faults} faults, nothing wrong",
        options.count
    );
    ExitCode::SUCCESS
}
