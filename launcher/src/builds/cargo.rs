//! Builds BrokerX with cargo.
//!
//! Cargo is given the whole workspace and the names of the binaries that are wanted:
//! `--workspace --bin X` builds only X and what X needs, with the features that a build of everything
//! would choose. `-p X` would choose features for X alone, and cargo would compile shared dependencies
//! once for every such choice. The test `one_set_of_features` compares the [`selection`]s.

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
    /// For whatever is started, and for the launcher; the wanted binaries are named besides.
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
        // Only the newest progress matters, and that is at the end of the log.
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

/// What cargo says before it builds anything, such as what it waits for.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim().to_owned()
}
