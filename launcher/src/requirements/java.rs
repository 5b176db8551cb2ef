//! A Java that Kafka and the registry run on.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Missing, Remedy};

use super::programs;

/// The oldest Java that Kafka 4 and the registry run on.
const JAVA_MAJOR_MIN: u32 = 17;

/// The `java` of `JAVA_HOME`, else of the PATH.
pub(super) fn find() -> Result<PathBuf, Missing> {
    let line = programs::of("java");
    let java = std::env::var_os("JAVA_HOME")
        .map(|home| Path::new(&home).join("bin/java"))
        .filter(|java| java.is_file())
        .or_else(|| programs::find_on_path("java"))
        .ok_or_else(|| line.missing("but there is none".to_owned()))?;
    let output = Command::new(&java).arg("-version").output();
    let version = output
        .map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
        .unwrap_or_default();
    match major(&version) {
        Some(major) if major >= JAVA_MAJOR_MIN => Ok(java),
        // The system's default is too old, so its default package would not help.
        Some(major) => Err(Missing {
            remedy: Remedy::Packages(format!("openjdk-{JAVA_MAJOR_MIN}-jre-headless")),
            ..line.missing(format!("but {} is Java {major}", java.display()))
        }),
        None => Err(line.missing(format!("but {} does not run", java.display()))),
    }
}

fn major(version: &str) -> Option<u32> {
    let quoted = version.split('"').nth(1)?;
    let mut parts = quoted.split(['.', '-', '_', '+']);
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(), // 1.8 is Java 8
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions_are_read_in_every_style() {
        for (text, expected) in [
            ("openjdk version \"17.0.15\" 2025-04-15", Some(17)),
            ("openjdk version \"21\" 2023-09-19", Some(21)),
            ("java version \"1.8.0_402\"", Some(8)),
            ("openjdk version \"25-ea\" 2025-09-16", Some(25)),
            ("command not found", None),
        ] {
            assert_eq!(major(text), expected, "{text}");
        }
    }

    #[test]
    fn the_list_names_the_version_that_is_asked_for() {
        let what = programs::of("java").what;
        assert!(what.contains(&format!("Java {JAVA_MAJOR_MIN} ")), "{what}");
    }
}
