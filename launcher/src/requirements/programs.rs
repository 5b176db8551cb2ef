//! The programs of `prerequisites.tsv`, and where they are.

use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Missing, Remedy};

/// The list, which the script `./brokerx` reads as well.
const PREREQUISITES: &str = include_str!("../../prerequisites.tsv");

/// Who needs a program. Each needs all that stands before it as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeededBy {
    /// Every command: it builds what it runs.
    Build,
    /// A system that runs.
    Up,
    /// The tests.
    Test,
}

/// A line of the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prerequisite {
    needed_by: NeededBy,
    /// What must be on the PATH, a subcommand of cargo after `cargo `, or a library after `pkg-config `.
    pub(super) program: &'static str,
    remedy: &'static str,
    /// What it is, and what for.
    pub(super) what: &'static str,
}

impl Prerequisite {
    fn parse(line: &'static str) -> Option<Prerequisite> {
        let mut columns = line.split('\t');
        let needed_by = match columns.next()? {
            "build" => NeededBy::Build,
            "up" => NeededBy::Up,
            "test" => NeededBy::Test,
            _ => return None,
        };
        Some(Prerequisite {
            needed_by,
            program: columns.next()?,
            remedy: columns.next()?,
            what: columns.next()?,
        })
    }

    /// This prerequisite, reported as missing.
    pub(super) fn missing(&self, found: String) -> Missing {
        Missing {
            what: self.what.to_owned(),
            found,
            remedy: Remedy::parse(self.remedy),
        }
    }
}

/// The whole list.
pub(super) fn all() -> impl Iterator<Item = Prerequisite> {
    let lines = PREREQUISITES.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(Prerequisite::parse)
}

/// The line of a program.
///
/// # Panics
/// When the list has none: the list is part of this program.
pub(super) fn of(program: &str) -> Prerequisite {
    all()
        .find(|prerequisite| prerequisite.program == program)
        .unwrap_or_else(|| panic!("prerequisites.tsv has no {program}"))
}

/// What is not on the PATH. Left out are those that need a closer look: Java's version, Python's
/// modules, the components of Rust, libraries.
pub(super) fn missing(by: NeededBy, find: impl Fn(&str) -> Option<PathBuf>) -> impl Iterator<Item = Missing> {
    all()
        .filter(move |it| it.needed_by <= by && !["java", "python3"].contains(&it.program) && !it.program.contains(' '))
        .filter(move |it| find(it.program).is_none())
        .map(|it| it.missing(format!("but `{}` is not on the PATH", it.program)))
}

pub(super) fn find_python() -> Result<PathBuf, Missing> {
    let python = of("python3");
    let found = find_on_path("python3").ok_or_else(|| python.missing("but `python3` is not on the PATH".to_owned()))?;
    // Debian packs the two apart from Python itself.
    if succeeds(Command::new(&found).args(["-c", "import ensurepip, venv"])) {
        return Ok(found);
    }
    Err(python.missing(format!("but {} cannot make environments", found.display())))
}

/// A program on the PATH.
pub fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file() && nix::unistd::access(candidate, nix::unistd::AccessFlags::X_OK).is_ok())
}

/// Whether a command runs and succeeds.
pub(super) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_understood() {
        let lines = PREREQUISITES.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            assert_eq!(line.split('\t').count(), 4, "{line}");
            assert!(Prerequisite::parse(line).is_some(), "{line}");
        }
        assert!(all().count() > 10);
    }

    #[test]
    fn a_build_needs_less_than_a_system_and_that_less_than_the_tests() {
        let count = |by| missing(by, |_| None).count();
        assert!(count(NeededBy::Build) < count(NeededBy::Up));
        assert!(count(NeededBy::Up) <= count(NeededBy::Test));
        let names: Vec<String> = missing(NeededBy::Build, |_| None).map(|it| it.found).collect();
        assert!(names.iter().any(|found| found.contains("`cc`")), "{names:?}");
        assert!(!names.iter().any(|found| found.contains("`mvn`")), "{names:?}");
    }
}
