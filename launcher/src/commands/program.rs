//! The commands that are programs of their own: they get the environment of the running system.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Args;

use super::operator_key::{exit_code, run_with_key};
use crate::builds::{cargo, freshness};
use crate::failure::{Failure, Result};
use crate::home::{Layout, Secrets};
use crate::platform::Transport;
use crate::progress::Progress;
use crate::requirements;
use crate::system::environment::{self, Facts};
use crate::system::services;
use crate::system::state::{Phase, State};

/// Passed on as they are.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Arguments of the program; `--help` shows them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// What a program needs of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it runs by itself.
    Nothing,
    /// The environment of the running system.
    System,
    /// That, and the API key of an operator of its own.
    Operator,
}

/// Becomes the program; one that needs an operator's key is waited for, and its key taken back.
///
/// A program that `up` builds (`operator`, `topics`) is used as it is: it belongs to the services
/// that run. Any other (`demo`, `bench`, `match`) is built when it is not there, or when its sources
/// have changed since, so that after a pull it is never older than the services of the next `up`.
/// Should it be newer than services that still run, that is no worse than two releases side by side:
/// messages are compatible in both directions.
///
/// # Errors
/// [`Failure::NotRunning`], [`Failure::Build`], [`Failure::MissingPrerequisites`].
pub fn run(layout: &Layout, binary: &str, arguments: &Arguments, needs: Needs) -> Result<ExitCode> {
    let wants_help = arguments.rest.iter().any(|it| it == "--help" || it == "-h");
    let state = State::load(layout).filter(|state| state.phase == Phase::Ready);
    // Before anything is built, which takes minutes.
    if state.is_none() && needs != Needs::Nothing && !wants_help {
        return Err(Failure::NotRunning);
    }
    let program = layout.binary(binary);
    if is_to_be_built(layout, binary) {
        requirements::check_for_build()?;
        layout.create()?;
        cargo::build(layout, [binary], &Progress::detect())?;
    }
    if !program.is_file() {
        return Err(Failure::Build(format!(
            "{} is missing after the build",
            program.display()
        )));
    }
    let mut command = Command::new(program);
    command.args(&arguments.rest).current_dir(layout.root());
    match state {
        _ if needs == Needs::Nothing => {}
        Some(state) => {
            let secrets = Secrets::load_or_create(layout)?;
            let transport = Transport::of_home(layout);
            let environment = |program| {
                environment::environment(Facts {
                    layout,
                    ports: &state.ports,
                    secrets: &secrets,
                    transport: &transport,
                    program,
                })
            };
            command.envs(environment(binary));
            if needs == Needs::Operator && !wants_help {
                let operator = || {
                    let mut operator = Command::new(layout.binary(services::OPERATOR_BINARY));
                    operator
                        .envs(environment(services::OPERATOR_BINARY))
                        .current_dir(layout.root());
                    operator
                };
                return Ok(exit_code(run_with_key(command, operator)?).into());
            }
        }
        None => {}
    }
    let error = command.exec();
    Err(Failure::io(format!("cannot run {binary}"))(error))
}

fn is_to_be_built(layout: &Layout, binary: &str) -> bool {
    if services::binaries().any(|of_up| of_up == binary) {
        !layout.binary(binary).is_file()
    } else {
        !freshness::is_fresh(layout, binary)
    }
}
