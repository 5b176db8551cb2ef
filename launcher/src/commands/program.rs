//! The commands that are programs of their own: they get the environment of the running system.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Args;

use crate::cargo;
use crate::failure::{Failure, Result};
use crate::layout::Layout;
use crate::progress::Progress;
use crate::secrets::Secrets;
use crate::services;
use crate::state::{Phase, State};

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

/// Becomes the program, building it first when it is not there. A program that is there is the one
/// that `up` built together with the services that run.
///
/// # Errors
/// [`Failure::NotRunning`], [`Failure::Build`].
pub fn run(layout: &Layout, binary: &str, arguments: &Arguments, needs: Needs) -> Result<ExitCode> {
    let wants_help = arguments.rest.iter().any(|it| it == "--help" || it == "-h");
    let state = State::load(layout).filter(|state| state.phase == Phase::Ready);
    let program = layout.binary(binary);
    if !program.is_file() {
        layout.create()?;
        cargo::build(layout, Progress::detect())?;
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
            let environment = services::environment(layout, &state.ports, &secrets);
            if needs == Needs::Operator && !wants_help {
                command.env("BROKERX_OPERATOR_KEY", operator_key(layout, &environment)?);
            }
            command.envs(environment);
        }
        None if wants_help => {}
        None => return Err(Failure::NotRunning),
    }
    let error = command.exec();
    Err(Failure::io(format!("cannot run {binary}"))(error))
}

/// A fresh API key of the operator on whose behalf demo and benchmark act.
fn operator_key(layout: &Layout, environment: &[(String, String)]) -> Result<String> {
    let output = Command::new(layout.binary(services::OPERATOR_BINARY))
        .args(["add", "tools@brokerx.invalid"])
        .envs(environment.iter().cloned())
        .output()
        .map_err(Failure::io("cannot add an operator"))?;
    let key = serde_json::from_slice::<serde_json::Value>(&output.stdout)
        .ok()
        .and_then(|added| added["api_key"].as_str().map(str::to_owned));
    key.ok_or_else(|| {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Failure::io("cannot add an operator")(std::io::Error::other(reason))
    })
}
