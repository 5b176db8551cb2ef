//! Builds BrokerX with cargo.
//!
//! What is started is built by selecting the whole workspace and then naming the binaries:
//! `--workspace --bin X` builds X and what X needs, but gives the dependencies the features that a
//! build of everything would. With `-p X` each selection would have features of its own, and cargo
//! would compile shared dependencies once for each. The test `one_set_of_features` compares the
//! [`selection`]s.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::home::Layout;
use crate::home::logs;
use crate::process::tool::run_logged;
use crate::progress::Progress;
use crate::requirements::rust;

use super::units::Units;

const BUILD_LIMIT: Duration = Duration::from_secs(3600);

/// The packages that a call of cargo selects. They decide on the features of the dependencies.
pub mod selection {
    /// Whatever is started, and the launcher; the binaries are then named.
    pub const EVERYTHING: &str = "--workspace";
    /// The tests that need no platform.
    pub const TESTS: &str = "--workspace --exclude brokerx-e2e";
    /// The end-to-end trials.
    pub const TRIALS: &str = "-p brokerx-e2e";
}

/// A cargo command in the checkout, with the target directory that [`Layout::binary`] looks in.
pub fn command(layout: &Layout, subcommand: &str) -> Command {
    let mut command = Command::new(rust::cargo());
    command
        .arg(subcommand)
        .current_dir(layout.root())
        .env("CARGO_TARGET_DIR", layout.target());
    command
}

/// Builds some binaries of the workspace (release), and nothing else.
///
/// # Errors
/// [`Failure::Build`] with the end of cargo's output.
pub fn build<'a>(layout: &Layout, binaries: impl IntoIterator<Item = &'a str>, progress: &Progress) -> Result<()> {
    let log = layout.log("build");
    let _ = fs::remove_file(&log);
    let how_far = {
        let log = log.clone();
        // Cargo adds to its progress with each crate; the end of the log is all that matters.
        move || {
            let end = logs::end(&log, 16 * 1024);
            Units::latest(&end).map_or_else(|| last_line(&end), |units| units.to_string())
        }
    };
    progress.step_with("building", how_far, || {
        let mut build = command(layout, "build");
        build.args(["--release", "--locked", selection::EVERYTHING]);
        for binary in binaries {
            build.args(["--bin", binary]);
        }
        // Cargo counts its units only in the progress that it draws for people.
        build
            .env("CARGO_TERM_PROGRESS_WHEN", "always")
            .env("CARGO_TERM_PROGRESS_WIDTH", "120");
        run_logged(build, &log, BUILD_LIMIT, Failure::Build)
    })
}

/// Before cargo builds anything it says what it waits for.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim().to_owned()
}
