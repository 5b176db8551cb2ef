//! What must be installed before anything is fetched or started.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::statvfs::statvfs;

use crate::cargo;
use crate::failure::{Failure, Missing, Result};
use crate::layout::Layout;
use crate::postgres;

/// The oldest Java that Kafka 4 and the registry run on.
const JAVA_MAJOR_MIN: u32 = 17;

/// A program needed on the PATH, what it is for, and its Debian package.
const TOOLS: [(&str, &str, &str); 8] = [
    ("mvn", "Maven (fetches Kafka, registry and PostgreSQL)", "maven"),
    ("cc", "a C compiler (librdkafka, linking)", "gcc"),
    ("c++", "a C++ compiler (librdkafka)", "g++"),
    ("make", "make (librdkafka)", "make"),
    ("tar", "tar", "tar"),
    ("xz", "xz (unpacks PostgreSQL)", "xz-utils"),
    ("gzip", "gzip (unpacks the registry)", "gzip"),
    ("sha256sum", "sha256sum (checks the downloads)", "coreutils"),
];

/// Parts of Rust that only the tests need: the subcommand of cargo, and its component.
const RUST_COMPONENTS: [(&str, &str); 2] = [("fmt", "rustfmt"), ("clippy", "clippy")];

/// Finds what a system needs: Java, the tools, and an account for PostgreSQL.
///
/// # Errors
/// [`Failure::MissingPrerequisites`] with everything that is missing.
pub fn check() -> Result<()> {
    none_of(missing_for_a_system())
}

/// Finds what the tests need: what a system needs, the checks of Rust, and Python.
///
/// # Errors
/// As [`check`].
pub fn check_for_tests(layout: &Layout) -> Result<()> {
    let mut missing = missing_for_a_system();
    missing.extend(
        RUST_COMPONENTS
            .iter()
            .filter_map(|part| missing_component(layout, part)),
    );
    missing.extend(find_python().err());
    none_of(missing)
}

/// The `java` to run: of `JAVA_HOME`, else of the PATH.
///
/// # Errors
/// [`Failure::MissingPrerequisites`] when there is none or it is too old.
pub fn java() -> Result<PathBuf> {
    find_java().map_err(|missing| Failure::MissingPrerequisites(vec![missing]))
}

/// The `python3` that makes the virtual environment of the tests.
///
/// # Errors
/// [`Failure::MissingPrerequisites`] when there is none, or one that cannot make environments.
pub fn python() -> Result<PathBuf> {
    find_python().map_err(|missing| Failure::MissingPrerequisites(vec![missing]))
}

fn none_of(missing: Vec<Missing>) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::MissingPrerequisites(missing))
}

fn missing_for_a_system() -> Vec<Missing> {
    let java = find_java().err();
    let account = postgres::unprivileged_account().err();
    java.into_iter()
        .chain(missing_tools(find_on_path))
        .chain(account)
        .collect()
}

fn missing_tools(find: impl Fn(&str) -> Option<PathBuf>) -> impl Iterator<Item = Missing> {
    TOOLS
        .iter()
        .filter(move |(program, ..)| find(program).is_none())
        .map(|(program, what, package)| missing(what, format!("but `{program}` is not on the PATH"), package))
}

fn find_java() -> std::result::Result<PathBuf, Missing> {
    let no_java = |found| {
        missing(
            &format!("Java {JAVA_MAJOR_MIN} or newer"),
            found,
            "openjdk-17-jdk-headless",
        )
    };
    let java = std::env::var_os("JAVA_HOME")
        .map(|home| Path::new(&home).join("bin/java"))
        .filter(|java| java.is_file())
        .or_else(|| find_on_path("java"))
        .ok_or_else(|| no_java("but there is none".to_owned()))?;
    let output = Command::new(&java).arg("-version").output();
    let version = output
        .map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
        .unwrap_or_default();
    match java_major(&version) {
        Some(major) if major >= JAVA_MAJOR_MIN => Ok(java),
        Some(major) => Err(no_java(format!("but {} is Java {major}", java.display()))),
        None => Err(no_java(format!("but {} does not run", java.display()))),
    }
}

fn find_python() -> std::result::Result<PathBuf, Missing> {
    let no_python = |found| missing("Python 3 with venv (the tests)", found, "python3 python3-venv");
    let python = find_on_path("python3").ok_or_else(|| no_python("but `python3` is not on the PATH".to_owned()))?;
    // Debian packs the two apart from Python itself.
    if succeeds(Command::new(&python).args(["-c", "import ensurepip, venv"])) {
        return Ok(python);
    }
    Err(no_python(format!("but {} cannot make environments", python.display())))
}

fn missing_component(layout: &Layout, (subcommand, component): &(&str, &str)) -> Option<Missing> {
    if succeeds(cargo::command(layout, subcommand).arg("--version")) {
        return None;
    }
    Some(Missing {
        what: format!("{component} (the tests)"),
        found: format!("but `cargo {subcommand}` does not run"),
        install: format!("rustup component add {component}"),
    })
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Fails when the file system of a directory has less space than needed.
///
/// # Errors
/// [`Failure::DiskSpace`]; [`Failure::Io`] when the directory cannot be examined.
pub fn check_disk_space(path: &Path, needed_mebibytes: u64) -> Result<()> {
    let free = statvfs(path)
        .map_err(|error| error.into())
        .map_err(Failure::io(format!("cannot examine {}", path.display())))?;
    let free_mebibytes = free.blocks_available() as u64 * free.fragment_size() as u64 / (1 << 20);
    if free_mebibytes < needed_mebibytes {
        return Err(Failure::DiskSpace {
            path: path.to_owned(),
            needed_mebibytes,
            free_mebibytes,
        });
    }
    Ok(())
}

/// Space that a start needs: about 3 GiB with the build and the downloads still to come.
pub fn disk_space_needed_mebibytes(layout: &Layout) -> u64 {
    let built = layout.binary("brokerx-settlement").exists();
    if built { 1024 } else { 3 * 1024 }
}

fn java_major(version: &str) -> Option<u32> {
    let quoted = version.split('"').nth(1)?;
    let mut parts = quoted.split(['.', '-', '_', '+']);
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(), // 1.8 is Java 8
        major => Some(major),
    }
}

/// A program on the PATH.
pub fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| nix::unistd::access(candidate, nix::unistd::AccessFlags::X_OK).is_ok())
}

fn missing(what: &str, found: String, debian_packages: &str) -> Missing {
    let sudo = if nix::unistd::geteuid().is_root() { "" } else { "sudo " };
    Missing {
        what: what.to_owned(),
        found,
        install: format!("{sudo}apt-get install {debian_packages}   (or what your system calls it)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions_are_read_in_every_style() {
        for (text, major) in [
            ("openjdk version \"17.0.15\" 2025-04-15", Some(17)),
            ("openjdk version \"21\" 2023-09-19", Some(21)),
            ("java version \"1.8.0_402\"", Some(8)),
            ("openjdk version \"25-ea\" 2025-09-16", Some(25)),
            ("command not found", None),
        ] {
            assert_eq!(java_major(text), major, "{text}");
        }
    }

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        let find = |program: &str| (!["mvn", "xz"].contains(&program)).then(|| PathBuf::from(program));
        let all: Vec<Missing> = missing_tools(find).collect();
        let message = none_of(all).expect_err("two are missing").to_string();
        for text in ["`mvn` is not", "install maven", "`xz` is not", "install xz-utils"] {
            assert!(message.contains(text), "{text}: {message}");
        }
        assert_eq!(message.matches("install it with").count(), 2, "{message}");
        assert!(none_of(Vec::new()).is_ok());
    }
}
