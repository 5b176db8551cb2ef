//! Builds BrokerX.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::layout::Layout;
use crate::progress::Progress;
use crate::tool::run_logged;

const BUILD_LIMIT: Duration = Duration::from_secs(3600);

/// A cargo command in the checkout, with the target directory that [`Layout::binary`] looks in.
pub fn command(layout: &Layout, subcommand: &str) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .arg(subcommand)
        .current_dir(layout.root())
        .env("CARGO_TARGET_DIR", layout.target());
    command
}

/// Builds every binary (release). Always the whole workspace: a selection of packages would make
/// cargo compile shared dependencies again with other features.
///
/// # Errors
/// [`Failure::Build`] with the end of cargo's output.
pub fn build(layout: &Layout, progress: Progress) -> Result<()> {
    let log = layout.log("build");
    let _ = fs::remove_file(&log);
    let compiled = {
        let log = log.clone();
        move || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let crates = text.matches("   Compiling ").count();
            let last = text.lines().last().unwrap_or_default().trim();
            format!("({crates} crates) {last}")
        }
    };
    progress.step_with("building (release)", compiled, || {
        let mut build = command(layout, "build");
        build.args(["--release", "--locked", "--workspace", "--bins"]);
        run_logged(build, &log, BUILD_LIMIT, Failure::Build)
    })
}
