//! The command line: one file per command.

mod down;
mod logs;
mod operator_key;
mod program;
mod status;
mod test;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::{EXIT_CODES, Result};
use crate::home::Layout;
use program::Needs;

/// BrokerX on this machine: start it, look at it, use it, test it.
#[derive(Debug, Parser)]
#[command(name = "brokerx", bin_name = "./brokerx", version, after_help = EXIT_CODES)]
struct Arguments {
    /// Where data, logs and mails live, `.brokerx` by default. With another home and a
    /// `--port-offset` a second system runs beside the first.
    #[arg(long, global = true, env = "BROKERX_HOME", value_name = "DIRECTORY")]
    home: Option<PathBuf>,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start everything and stay; Ctrl-C stops everything.
    Up(up::Arguments),
    /// Stop everything.
    Down(down::Arguments),
    /// Show what runs. Exit code 0 when all of it is ready.
    Status(status::Arguments),
    /// Show the end of a component's log.
    Logs(logs::Arguments),
    /// Run all checks and tests, on a platform of their own.
    Test(test::Arguments),
    /// Trade as two clients would, with a transcript.
    #[command(disable_help_flag = true)]
    Demo(program::Arguments),
    /// Measure the running system beside the ceiling of its Kafka.
    #[command(disable_help_flag = true)]
    Bench(program::Arguments),
    /// Operators and their API keys: `operator add EMAIL`, `keys`, `revoke KEY_ID|EMAIL`.
    #[command(disable_help_flag = true)]
    Operator(program::Arguments),
    /// The topic catalogue: `topics apply`, `topics tail TOPIC`.
    #[command(disable_help_flag = true)]
    Topics(program::Arguments),
    /// Match orders without Kafka: JSON lines in, JSON lines out.
    #[command(disable_help_flag = true)]
    Match(program::Arguments),
    /// Start only Kafka, schema registry and PostgreSQL, in the background.
    #[command(hide = true)]
    Platform(up::Arguments),
}

/// Parses the command line and does what it says.
///
/// # Errors
/// Any [`crate::failure::Failure`], to be shown by the caller.
pub fn run() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut layout = Layout::of_checkout();
    if let Some(home) = arguments.home {
        layout = layout.with_home(home);
    }
    match arguments.command {
        Action::Up(arguments) => up::run(layout, arguments, true),
        Action::Platform(arguments) => up::run(layout, arguments.in_background(), false),
        Action::Down(arguments) => down::run(&layout, &arguments),
        Action::Status(arguments) => status::run(&layout, &arguments),
        Action::Logs(arguments) => logs::run(&layout, &arguments),
        Action::Test(arguments) => test::run(&layout, &arguments),
        Action::Demo(arguments) => program::run(&layout, "brokerx-demo", &arguments, Needs::Operator),
        Action::Bench(arguments) => program::run(&layout, "brokerx-bench", &arguments, Needs::Operator),
        Action::Operator(arguments) => program::run(&layout, "brokerx-operator", &arguments, Needs::System),
        Action::Topics(arguments) => program::run(&layout, "brokerx-topics", &arguments, Needs::System),
        Action::Match(arguments) => program::run(&layout, "brokerx-match", &arguments, Needs::Nothing),
    }
}
