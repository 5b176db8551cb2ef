//! Whether the file systems have the space for what is about to be done.
//!
//! Build, downloads, data and Maven's own store can each lie on a file system of their own: what
//! is needed on the same one is added up. The figures were measured with `du` after an `up` from nothing,
//! and rounded up.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use crate::failure::{Failure, Result, Shortage};
use crate::home::Layout;

use super::Intent;
use super::programs::NeededBy;

/// What cargo makes for `up`, the launcher included.
const BUILD_MEBIBYTES: u64 = 2_000;
/// What it makes for the tests, `up` included. An estimate: checkouts in use hold 3 to 7 GiB, much of it
/// left by earlier builds.
const TEST_BUILD_MEBIBYTES: u64 = 5_000;
/// What a build needs when all is there and only some of it is made again.
const REBUILD_MEBIBYTES: u64 = 300;
/// The parts unpacked, and the largest archive while it is unpacked.
const DOWNLOADS_MEBIBYTES: u64 = 350;
/// Maven's copies of the archives, and its plugins.
const MAVEN_MEBIBYTES: u64 = 200;
/// Kafka, database, snapshots and logs of a system that has just been started, and room for a
/// first day.
const DATA_MEBIBYTES: u64 = 500;

/// Space that is needed below a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The directory, which need not exist yet.
    pub directory: PathBuf,
    /// How much, MiB.
    pub mebibytes: u64,
    /// What for.
    pub purpose: &'static str,
}

/// What is known about the file system of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystem {
    /// Equal for two directories on the same file system.
    pub device: u64,
    /// What this user may still write, MiB.
    pub free_mebibytes: u64,
}

/// What will be written where.
pub fn needs(layout: &Layout, intent: Intent) -> Vec<Need> {
    needs_beside(size_mebibytes, layout, intent)
}

/// As [`needs`], where `size_mebibytes` tells what lies in a directory already.
fn needs_beside(size_mebibytes: impl Fn(&Path) -> u64, layout: &Layout, intent: Intent) -> Vec<Need> {
    let need = |directory, mebibytes, purpose| Need {
        directory,
        mebibytes,
        purpose,
    };
    let target = layout.target();
    let build = if intent.builds {
        still_to_build(intent.by, size_mebibytes(&target))
    } else {
        REBUILD_MEBIBYTES
    };
    let mut needs = vec![
        need(target, build, "the build"),
        need(layout.home().to_owned(), DATA_MEBIBYTES, "data and logs"),
    ];
    if intent.fetches {
        needs.push(need(layout.downloads(), DOWNLOADS_MEBIBYTES, "the downloads"));
        let home = std::env::var_os("HOME").map(PathBuf::from);
        needs.extend(home.map(|home| need(home.join(".m2"), MAVEN_MEBIBYTES, "Maven's copies of them")));
    }
    needs
}

/// What a build adds to what lies in the target directory already.
fn still_to_build(by: NeededBy, present_mebibytes: u64) -> u64 {
    let whole = match by {
        NeededBy::Test => TEST_BUILD_MEBIBYTES,
        NeededBy::Build | NeededBy::Up => BUILD_MEBIBYTES,
    };
    whole.saturating_sub(present_mebibytes).max(REBUILD_MEBIBYTES)
}

/// The size of all files below a directory; 0 when it is not there.
fn size_mebibytes(directory: &Path) -> u64 {
    let mut bytes = 0;
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => directories.push(entry.path()),
                // Cargo links a program to a second place: its bytes are there once.
                Ok(metadata) => bytes += metadata.len() / metadata.nlink().max(1),
                Err(_) => {}
            }
        }
    }
    bytes >> 20
}

/// The file systems that have too little space for all that is needed on them.
///
/// # Errors
/// As `file_system`.
pub fn shortages(needs: &[Need], file_system: impl Fn(&Path) -> Result<FileSystem>) -> Result<Vec<Shortage>> {
    let mut used: Vec<(FileSystem, Vec<&Need>)> = Vec::new();
    for need in needs {
        let here = file_system(&need.directory)?;
        match used.iter_mut().find(|(other, _)| other.device == here.device) {
            Some((_, needs)) => needs.push(need),
            None => used.push((here, vec![need])),
        }
    }
    let short = used.into_iter().filter_map(|(file_system, needs)| {
        let needed_mebibytes = needs.iter().map(|need| need.mebibytes).sum();
        (file_system.free_mebibytes < needed_mebibytes).then(|| Shortage {
            of: format!("disk space in {}", needs[0].directory.display()),
            purpose: listed(&needs),
            needed_mebibytes,
            available_mebibytes: file_system.free_mebibytes,
            advice: "free some, or put what is made elsewhere: CARGO_TARGET_DIR moves the build, \
                     BROKERX_HOME the data"
                .to_owned(),
        })
    });
    Ok(short.collect())
}

fn listed(needs: &[&Need]) -> String {
    let parts: Vec<String> = needs
        .iter()
        .map(|need| format!("{} ({} MiB)", need.purpose, need.mebibytes))
        .collect();
    match needs {
        [only] => only.purpose.to_owned(),
        _ => parts.join(" + "),
    }
}

/// The file system that a directory lies on, or will lie on once it is made.
///
/// # Errors
/// [`Failure::Io`] when it cannot be examined.
pub fn file_system(directory: &Path) -> Result<FileSystem> {
    let io = || Failure::io(format!("cannot examine {}", directory.display()));
    let directory = std::path::absolute(directory).map_err(io())?;
    let existing = directory
        .ancestors()
        .find(|ancestor| ancestor.is_dir())
        .unwrap_or(Path::new("/"));
    let free = statvfs(existing).map_err(std::io::Error::from).map_err(io())?;
    Ok(FileSystem {
        device: fs::metadata(existing).map_err(io())?.dev(),
        free_mebibytes: free.blocks_available() as u64 * free.fragment_size() as u64 / (1 << 20),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn need(directory: &str, mebibytes: u64) -> Need {
        Need {
            directory: PathBuf::from(directory),
            mebibytes,
            purpose: "it",
        }
    }

    /// What is below `/a` is on one file system with 1,000 MiB free, the rest on one with 100.
    fn two_file_systems(directory: &Path) -> Result<FileSystem> {
        let (device, free_mebibytes) = if directory.starts_with("/a") {
            (1, 1_000)
        } else {
            (2, 100)
        };
        Ok(FileSystem { device, free_mebibytes })
    }

    #[test]
    fn enough_is_enough_to_the_last_mebibyte() {
        let shortages = |mebibytes| shortages(&[need("/a/target", mebibytes)], two_file_systems).unwrap();
        assert_eq!(shortages(1_000), []);
        assert_eq!(shortages(1_001).len(), 1);
    }

    #[test]
    fn needs_on_one_file_system_are_added_up() {
        let both = [need("/a/target", 600), need("/a/home", 500)];
        let short = shortages(&both, two_file_systems).unwrap();
        assert_eq!(short.len(), 1);
        assert_eq!(
            (short[0].needed_mebibytes, short[0].available_mebibytes),
            (1_100, 1_000)
        );
    }

    #[test]
    fn each_file_system_is_checked_by_itself() {
        let apart = [need("/a/target", 900), need("/b/home", 90)];
        assert_eq!(shortages(&apart, two_file_systems).unwrap(), []);
        let short = shortages(&[need("/a/target", 900), need("/b/home", 200)], two_file_systems).unwrap();
        assert_eq!(short.len(), 1);
        let message = Failure::Shortage(short).to_string();
        assert!(message.contains("disk space in /b/home"), "{message}");
        assert!(
            message.contains("200 MiB are needed for it, 100 MiB are available"),
            "{message}"
        );
    }

    #[test]
    fn what_is_there_already_needs_no_space_again() {
        let layout = Layout::at("/nowhere");
        let total = |builds, fetches| -> u64 {
            let intent = Intent {
                by: NeededBy::Up,
                builds,
                fetches,
            };
            needs_beside(|_| 0, &layout, intent)
                .iter()
                .map(|need| need.mebibytes)
                .sum()
        };
        assert!(total(false, false) < total(false, true));
        assert!(total(false, true) < total(true, true));
    }

    #[test]
    fn what_has_been_built_is_not_needed_again() {
        assert_eq!(still_to_build(NeededBy::Up, 0), BUILD_MEBIBYTES);
        assert_eq!(still_to_build(NeededBy::Test, 1_000), TEST_BUILD_MEBIBYTES - 1_000);
        assert_eq!(still_to_build(NeededBy::Test, 100_000), REBUILD_MEBIBYTES);
    }

    #[test]
    fn a_directory_that_is_not_there_yet_has_the_file_system_of_its_parent() {
        let there = file_system(Path::new("/")).unwrap();
        assert_eq!(file_system(Path::new("/not/there/yet")).unwrap().device, there.device);
    }
}
