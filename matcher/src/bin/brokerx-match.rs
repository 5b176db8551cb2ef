//! `./brokerx match`: the matcher without Kafka.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use brokerx_matcher::cli::{Rules, run};
use clap::{Parser, ValueEnum};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Orders {
    /// Orders are refused
    Refused,
    /// Orders are collected, and trade in an auction when trading resumes
    Collected,
}

/// Match orders without Kafka: one JSON command a line in, one JSON answer a line out
///
/// The format is in docs/match.md. Example:
/// {"op":"new","id":1,"account":7,"side":"buy","type":"limit","price":100,"quantity":10}
#[derive(Parser)]
#[command(name = "brokerx match", version)]
struct Options {
    /// Print the book in priority order at the end
    #[arg(long)]
    book: bool,
    /// Refuse limits that are farther from the last trade than this, in basis points
    #[arg(long, value_name = "BPS", value_parser = clap::value_parser!(i32).range(1..=10_000))]
    band: Option<i32>,
    /// Stop market orders this far from the last trade and stops this far from their stop price, in basis points
    #[arg(long, value_name = "BPS", value_parser = clap::value_parser!(i32).range(0..=9_999))]
    collar: Option<i32>,
    /// What band and collar are measured from before the first trade, in ticks; nothing by default
    #[arg(long, value_name = "PRICE", value_parser = clap::value_parser!(i64).range(1..=1_000_000_000_000))]
    reference: Option<i64>,
    /// Refuse icebergs that show less of their quantity than this, in percent; 0 for no bound
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(i32).range(0..=100))]
    least_display: i32,
    /// What becomes of orders while the instrument is halted
    #[arg(long, value_enum, default_value = "refused")]
    while_halted: Orders,
    /// What becomes of orders while the session is closed
    #[arg(long, value_enum, default_value = "refused")]
    while_closed: Orders,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let rules = Rules {
        band_bps: options.band.unwrap_or(0),
        collar_bps: options.collar,
        reference: options.reference.unwrap_or(0),
        display_percent_min: options.least_display,
        collect_while_halted: options.while_halted == Orders::Collected,
        collect_while_closed: options.while_closed == Orders::Collected,
    };
    match run(rules, options.book, io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader such as `head` has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("brokerx match: {error}");
            ExitCode::FAILURE
        }
    }
}
