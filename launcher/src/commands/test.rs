//! `test`: everything that must hold before a change is merged, in order; the first stage that
//! fails ends it.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;

use crate::builds::cargo;
use crate::builds::cargo::selection::{EVERYTHING, TESTS, TRIALS};
use crate::failure::{Failure, Result};
use crate::home::Layout;
use crate::process::tool::{self, Output};
use crate::requirements::programs::NeededBy;
use crate::requirements::{self, Intent};
use crate::system::{System, scratch};

/// No stage may hang for ever.
const STAGE_LIMIT: Duration = Duration::from_secs(2 * 3600);

/// What to run.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Run the long versions of the seeded tests as well (BROKERX_TEST_LONG=1).
    #[arg(long)]
    long: bool,
}

struct Stage {
    name: &'static str,
    command: Command,
}

/// Runs all stages and prints a summary.
///
/// # Errors
/// [`Failure::Test`] with the stage that failed, [`Failure::MissingPrerequisites`].
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<ExitCode> {
    let intent = Intent {
        by: NeededBy::Test,
        builds: true,
        ..System::intent(layout, true)?
    };
    requirements::check(layout, intent)?;
    layout.create()?;
    // A test that was killed could not say how it went: what it logged is kept.
    scratch::clean_abandoned(layout, true);
    let begun = SystemTime::now();
    let mut summary = String::from("\nsummary\n");
    let mut failure = None;
    let started = Instant::now();
    for stage in stages(layout, arguments) {
        let result = run_stage(stage, &mut summary);
        if let Err(stage_failure) = result {
            failure = Some(stage_failure);
            break;
        }
    }
    scratch::clean_abandoned(layout, failure.is_some());
    for (_, logs) in scratch::kept(layout).iter().filter(|(kept, _)| *kept >= begun) {
        summary += &format!("  logs and mails of the failed system: {}\n", logs.display());
    }
    let seconds = started.elapsed().as_secs_f64();
    summary += &format!("  in all {seconds:.1} s");
    println!("{summary}");
    match failure {
        None => {
            println!("all stages passed");
            Ok(ExitCode::SUCCESS)
        }
        Some(failure) => Err(failure),
    }
}

fn run_stage(stage: Stage, summary: &mut String) -> Result<()> {
    println!("\n== {}: {}", stage.name, shown(&stage.command));
    let started = Instant::now();
    let status = tool::run(stage.command, Output::Shown, STAGE_LIMIT);
    let seconds = started.elapsed().as_secs_f64();
    let passed = status.as_ref().is_ok_and(|status| status.success());
    let mark = if passed { "ok    " } else { "FAILED" };
    *summary += &format!("  {mark} {:<12} {seconds:>7.1} s\n", stage.name);
    if status?.success() {
        return Ok(());
    }
    Err(Failure::Test(stage.name.to_owned()))
}

fn stages(layout: &Layout, arguments: &Arguments) -> Vec<Stage> {
    let stage = |name, line: &str| {
        let mut words = line.split(' ');
        let mut command = cargo::command(layout, words.next().unwrap_or_default());
        command.args(words);
        if arguments.long {
            command.env("BROKERX_TEST_LONG", "1");
        }
        Stage { name, command }
    };
    vec![
        stage("format", "fmt --all --check"),
        stage(
            "clippy",
            &format!("clippy --release --locked {EVERYTHING} --all-targets -- -D warnings"),
        ),
        // Unit, property, contract and simulation tests: no broker needed.
        stage("test", &format!("test --release --locked {TESTS}")),
        // What the trials start.
        stage("build", &format!("build --release --locked {EVERYTHING} --bins")),
        stage("end-to-end", &format!("test --release --locked {TRIALS}")),
    ]
}

fn shown(command: &Command) -> String {
    let arguments: Vec<String> = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    format!("cargo {}", arguments.join(" "))
}
