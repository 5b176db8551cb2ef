//! Cargo, and the parts of Rust that only the tests need.

use std::ffi::OsString;
use std::process::Command;

use crate::failure::Missing;
use crate::home::Layout;

use super::programs::{self, succeeds};

/// The cargo to run: the one that runs us, else that of the PATH.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The subcommands of cargo in the list that do not run.
pub(super) fn missing_components(layout: &Layout) -> Vec<Missing> {
    let is_missing = |subcommand: &str| {
        let mut command = Command::new(cargo());
        command.args([subcommand, "--version"]).current_dir(layout.root());
        !succeeds(&mut command)
    };
    programs::all()
        .filter_map(|it| Some((it, it.program.strip_prefix("cargo ")?)))
        .filter(|(_, subcommand)| is_missing(subcommand))
        .map(|(it, _)| it.missing(format!("but `{}` does not run", it.program)))
        .collect()
}
