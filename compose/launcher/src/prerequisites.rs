//! What must be installed before anything is fetched or started.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::statvfs::statvfs;

use crate::failure::{Failure, Result};
use crate::layout::Layout;

/// The oldest Java that Kafka 4 and the registry run on.
const JAVA_MAJOR_MIN: u32 = 17;

/// A program needed on the PATH, what it is for, and its Debian package.
const TOOLS: [(&str, &str, &str); 7] = [
    ("mvn", "Maven (fetches Kafka, registry and PostgreSQL)", "maven"),
    ("cc", "a C compiler (librdkafka, linking)", "gcc"),
    ("make", "make (librdkafka)", "make"),
    ("tar", "tar", "tar"),
    ("xz", "xz (unpacks PostgreSQL)", "xz-utils"),
    ("gzip", "gzip (unpacks the registry)", "gzip"),
    ("sha256sum", "sha256sum (checks the downloads)", "coreutils"),
];

/// Finds Java and the tools.
///
/// # Errors
/// [`Failure::MissingPrerequisite`] with the command that installs the first missing one.
pub fn check() -> Result<()> {
    java()?;
    for (program, what, package) in TOOLS {
        if find_on_path(program).is_none() {
            return Err(missing(what, format!("but `{program}` is not on the PATH"), package));
        }
    }
    Ok(())
}

/// The `java` to run: of `JAVA_HOME`, else of the PATH.
///
/// # Errors
/// [`Failure::MissingPrerequisite`] when there is none or it is too old.
pub fn java() -> Result<PathBuf> {
    let what = format!("Java {JAVA_MAJOR_MIN} or newer");
    let package = "openjdk-17-jdk-headless";
    let java = std::env::var_os("JAVA_HOME")
        .map(|home| Path::new(&home).join("bin/java"))
        .filter(|java| java.is_file())
        .or_else(|| find_on_path("java"))
        .ok_or_else(|| missing(&what, "but there is none".to_owned(), package))?;
    let output = Command::new(&java).arg("-version").output();
    let version = output
        .map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
        .unwrap_or_default();
    match java_major(&version) {
        Some(major) if major >= JAVA_MAJOR_MIN => Ok(java),
        Some(major) => Err(missing(
            &what,
            format!("but {} is Java {major}", java.display()),
            package,
        )),
        None => Err(missing(&what, format!("but {} does not run", java.display()), package)),
    }
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

fn missing(what: &str, found: String, debian_package: &str) -> Failure {
    let sudo = if nix::unistd::geteuid().is_root() { "" } else { "sudo " };
    Failure::MissingPrerequisite {
        what: what.to_owned(),
        found,
        install: format!("{sudo}apt-get install {debian_package}   (or your system's package of that name)"),
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
}
