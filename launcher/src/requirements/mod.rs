//! What a machine must have, found and said before anything is fetched, built or started: programs
//! ([`programs`]), Java ([`java`]), disk space ([`disk`]) and memory ([`memory`]).

pub mod disk;
mod intent;
pub mod java;
mod libraries;
pub mod memory;
pub mod programs;
pub mod rust;

use std::path::PathBuf;

use crate::failure::{Failure, Missing, Result, Shortage};
use crate::home::Layout;
use crate::process::account::unprivileged_account;

use programs::NeededBy;

const OPENSSL: &str = "openssl";

pub use intent::Intent;

/// Finds everything that is missing for what is about to be done.
///
/// # Errors
/// [`Failure::MissingPrerequisites`] with all programs that are missing; when none is,
/// [`Failure::Shortage`] with all that the machine has too little of.
pub fn check(layout: &Layout, intent: Intent) -> Result<()> {
    none_missing(missing(layout, intent.by))?;
    let mut shortages = disk::shortages(&disk::needs(layout, intent), disk::file_system)?;
    shortages.extend(memory::shortage(memory::need(intent), &memory::Available::now()));
    none_short(shortages)
}

/// Finds the programs that a build needs, for the commands that build one of BrokerX's programs.
///
/// # Errors
/// [`Failure::MissingPrerequisites`] with everything that is missing.
pub fn check_for_build() -> Result<()> {
    let mut missing: Vec<Missing> = programs::missing(NeededBy::Build, programs::find_on_path).collect();
    missing.extend(libraries::missing());
    none_missing(missing)
}

/// The `java` to run: of `JAVA_HOME`, else of the PATH.
///
/// # Errors
/// [`Failure::MissingPrerequisites`] when there is none or it is too old.
pub fn java() -> Result<PathBuf> {
    java::find().map_err(|missing| Failure::MissingPrerequisites(vec![missing]))
}

/// The program `openssl`, which makes the certificates of a secured system.
///
/// # Errors
/// [`Failure::MissingPrerequisites`] when there is none.
pub fn openssl() -> Result<PathBuf> {
    let found = programs::find_on_path(OPENSSL);
    found.ok_or_else(|| {
        let missing = programs::of(OPENSSL).missing(format!("but `{OPENSSL}` is not on the PATH"));
        Failure::MissingPrerequisites(vec![missing])
    })
}

/// The `python3` that makes the virtual environment of the tests.
///
/// # Errors
/// [`Failure::MissingPrerequisites`] when there is none, or one that cannot make environments.
pub fn python() -> Result<PathBuf> {
    programs::find_python().map_err(|missing| Failure::MissingPrerequisites(vec![missing]))
}

fn missing(layout: &Layout, by: NeededBy) -> Vec<Missing> {
    let mut missing: Vec<Missing> = programs::missing(by, programs::find_on_path).collect();
    missing.extend(libraries::missing());
    if by >= NeededBy::Up {
        missing.extend(java::find().err());
        missing.extend(unprivileged_account().err());
    }
    if by >= NeededBy::Test {
        missing.extend(rust::missing_components(layout));
        missing.extend(programs::find_python().err());
    }
    missing
}

fn none_missing(missing: Vec<Missing>) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::MissingPrerequisites(missing))
}

fn none_short(shortages: Vec<Shortage>) -> Result<()> {
    if shortages.is_empty() {
        return Ok(());
    }
    Err(Failure::Shortage(shortages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        let find = |program: &str| (!["mvn", "xz"].contains(&program)).then(|| PathBuf::from(program));
        let all: Vec<Missing> = programs::missing(NeededBy::Up, find).collect();
        let message = none_missing(all).expect_err("two are missing").to_string();
        for text in ["`mvn` is not", "install maven", "`xz` is not", "install xz-utils"] {
            assert!(message.contains(text), "{text}: {message}");
        }
        assert_eq!(message.matches("install it with").count(), 2, "{message}");
        assert!(none_missing(Vec::new()).is_ok());
    }
}
