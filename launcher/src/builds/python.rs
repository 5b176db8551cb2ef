//! The Python environment of the end-to-end tests, in which they run a consumer as another team would
//! write it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::home::Layout;
use crate::home::Lock;
use crate::process::tool::run_logged;
use crate::requirements;

const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// The interpreter of the environment with the pinned packages of
/// `tests/e2e/python/requirements.txt`, which is made at the first call and when the pins
/// change.
///
/// # Errors
/// [`Failure::MissingPrerequisites`] without Python; [`Failure::Download`] with the end of the
/// output when it cannot be made.
pub fn venv(layout: &Layout) -> Result<PathBuf> {
    let python = requirements::python()?;
    layout.create()?;
    let _lock = Lock::wait(&layout.shared().join("python.lock"), INSTALL_LIMIT)?;
    let environment = layout.python();
    let interpreter = environment.join("bin/python");
    let pins = layout.root().join("tests/e2e/python/requirements.txt");
    let wanted = fs::read(&pins).map_err(Failure::io(format!("cannot read {}", pins.display())))?;
    // Written last: an environment without it is not finished.
    let installed = environment.join("installed.txt");
    if fs::read(&installed).is_ok_and(|pins| pins == wanted) {
        return Ok(interpreter);
    }
    let mut make = Command::new(python);
    make.args(["-m", "venv", "--clear"]).arg(&environment);
    run(layout, make)?;
    let mut install = Command::new(&interpreter);
    install
        .args(["-m", "pip", "install", "--disable-pip-version-check"])
        .args(["--only-binary=:all:", "--requirement"])
        .arg(&pins);
    run(layout, install)?;
    fs::write(&installed, wanted).map_err(Failure::io(format!("cannot write {}", installed.display())))?;
    Ok(interpreter)
}

fn run(layout: &Layout, command: Command) -> Result<()> {
    run_logged(command, &layout.log("python"), INSTALL_LIMIT, |reason| {
        Failure::Download {
            what: "the Python packages of the tests".to_owned(),
            reason,
        }
    })
}
