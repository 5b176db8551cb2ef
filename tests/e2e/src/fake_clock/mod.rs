//! A process of the system under a clock that a trial sets while it runs: a small library before the C library,
//! `clock.c` beside this file.
//!
//! libfaketime does the same and more; a broker in Java does not come up under it, because it stands between a
//! process and its condition variables too.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::fixture::Fixture;

/// In the checkout.
const SOURCE: &str = "tests/e2e/src/fake_clock/clock.c";
const LIBRARY: &str = "LD_PRELOAD";
const CLOCK_FILE: &str = "BROKERX_CLOCK_FILE";

/// The clock of one process.
pub struct FakeClock {
    process: String,
    file: File,
}

impl FakeClock {
    /// Runs a trial with a process under a clock of its own, and gives the process the machine's clock back,
    /// however the trial ended.
    ///
    /// # Errors
    /// Those of the trial, and when the process does not come up.
    pub async fn under(
        fixture: &Fixture,
        process: &str,
        trial: impl AsyncFnOnce(&FakeClock) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let clock = Self::give(fixture, process)?;
        let outcome = trial(&clock).await;
        let taken = clock.take(fixture);
        outcome?;
        taken
    }

    /// Starts a process again under a clock that agrees with the machine's at first.
    ///
    /// # Errors
    /// When it does not come up, or the library cannot be built.
    pub fn give(fixture: &Fixture, process: &str) -> anyhow::Result<Self> {
        let mut system = fixture.system();
        let folder = system.layout().run();
        let path = folder.join(format!("{process}.clock"));
        let clock = Self {
            process: process.to_owned(),
            file: File::create(&path)?,
        };
        clock.set(0)?;
        let library = library(&system.layout().root().join(SOURCE), &folder)?;
        for (name, path) in [(LIBRARY, library), (CLOCK_FILE, path)] {
            let variable = (name.to_owned(), path.display().to_string());
            system.process(process).spec_mut().environment.push(variable);
        }
        system.restart(process)?;
        Ok(clock)
    }

    /// Sets the clock so many seconds ahead of the machine's, or behind when they are negative.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&self, seconds: i64) -> anyhow::Result<()> {
        self.file
            .write_all_at(&seconds.to_ne_bytes(), 0)
            .context("setting a clock")
    }

    /// Starts the process again under the machine's clock.
    fn take(self, fixture: &Fixture) -> anyhow::Result<()> {
        let mut system = fixture.system();
        let spec = system.process(&self.process).spec_mut();
        spec.environment
            .retain(|(name, _)| ![LIBRARY, CLOCK_FILE].contains(&name.as_str()));
        system.restart(&self.process)?;
        Ok(())
    }
}

/// Builds the library in a folder.
fn library(source: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let library = folder.join("clock.so");
    if !library.is_file() {
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([library.as_path(), source])
            .output()
            .context("cc cannot be run")?;
        ensure!(
            output.status.success(),
            "cc: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(library)
}
