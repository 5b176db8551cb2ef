//! Fetches Kafka, the registry and PostgreSQL from Maven Central, once.
//!
//! `compose/versions.properties` says which versions, and where they come from. A part is unpacked
//! beside its place and renamed at the end: a directory that exists is complete, and what a broken
//! download has left is thrown away at the next try.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::home::layout::file_name;
use crate::home::{Layout, Lock};
use crate::process::tool::run_logged;
use crate::progress::Progress;

use super::versions::{Archive, Versions};

const MAVEN_LIMIT: Duration = Duration::from_secs(900);
const UNPACK_LIMIT: Duration = Duration::from_secs(300);
const LOCK_LIMIT: Duration = Duration::from_secs(1200);

/// The unpacked parts.
#[derive(Debug, Clone)]
pub struct Downloads {
    /// Directory with Kafka's jars.
    pub kafka: PathBuf,
    /// Directory of the registry's application.
    pub registry: PathBuf,
    /// The registry's version, which is in the name of its jar.
    pub registry_version: String,
    /// The tree of PostgreSQL, with `bin/`.
    pub postgres: PathBuf,
}

impl Downloads {
    /// Fetches what is not there yet.
    ///
    /// # Errors
    /// [`Failure::Download`] with the end of Maven's output; [`Failure::Corrupt`] when the versions are not
    /// understood.
    pub fn ensure(layout: &Layout, progress: &Progress) -> Result<Downloads> {
        let versions = Versions::read(layout)?;
        let downloads = Downloads::at(layout, &versions);
        if downloads.complete() {
            return Ok(downloads);
        }
        // A test and a start may both come here at the same time: the second then finds all done.
        let _lock = Lock::wait(&layout.downloads().join(".lock"), LOCK_LIMIT)?;
        let fetch = Fetch {
            layout,
            versions: &versions,
        };
        fetch.part(&downloads.kafka, progress, |place| fetch.kafka(place))?;
        fetch.part(&downloads.registry, progress, |place| fetch.registry(place))?;
        fetch.part(&downloads.postgres, progress, |place| fetch.postgres(place))?;
        Ok(downloads)
    }

    /// How many parts are still to be fetched.
    ///
    /// # Errors
    /// When `compose/versions.properties` cannot be read or is not understood.
    pub fn missing_parts(layout: &Layout) -> Result<usize> {
        let downloads = Downloads::at(layout, &Versions::read(layout)?);
        Ok(downloads.parts().into_iter().filter(|part| !part.is_dir()).count())
    }

    fn at(layout: &Layout, versions: &Versions) -> Downloads {
        let directory = layout.downloads();
        Downloads {
            kafka: directory.join(format!("kafka-{}", versions.kafka)),
            registry: directory.join(format!("apicurio-registry-{}", versions.registry.version)),
            registry_version: versions.registry.version.clone(),
            postgres: directory.join(format!("postgres-{}", versions.postgres.version)),
        }
    }

    fn complete(&self) -> bool {
        self.parts().into_iter().all(|part| part.is_dir())
    }

    fn parts(&self) -> [&Path; 3] {
        [&self.kafka, &self.registry, &self.postgres]
    }
}

struct Fetch<'a> {
    layout: &'a Layout,
    versions: &'a Versions,
}

impl Fetch<'_> {
    fn part(&self, place: &Path, progress: &Progress, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if place.is_dir() {
            return Ok(());
        }
        let name = file_name(place);
        progress.step(&format!("fetching {name}"), || {
            let draft = place.with_file_name(format!("{name}.part"));
            let io = || Failure::io(format!("cannot write {}", draft.display()));
            if draft.exists() {
                fs::remove_dir_all(&draft).map_err(io())?;
            }
            fs::create_dir_all(&draft).map_err(io())?;
            fill(&draft)?;
            fs::rename(&draft, place).map_err(io())
        })
    }

    fn kafka(&self, place: &Path) -> Result<()> {
        let mut maven = self.maven("copy-dependencies");
        maven
            .arg("-f")
            .arg(self.layout.compose("kafka/pom.xml"))
            .arg(format!("-Dkafka.version={}", self.versions.kafka))
            .arg("-DincludeScope=runtime")
            .arg(format!("-DoutputDirectory={}", place.display()));
        self.run(maven, &file_name(place), MAVEN_LIMIT)?;
        self.check_jars(place)
    }

    /// Checks that the jars are those whose digests are known, and no others: all of them run inside Kafka.
    fn check_jars(&self, place: &Path) -> Result<()> {
        let digests = self.layout.compose("kafka/jars.sha256");
        let wrong = |reason: String| Failure::Download {
            what: file_name(place),
            reason,
        };
        let known = fs::read_to_string(&digests).map_err(Failure::io(format!("cannot read {}", digests.display())))?;
        let known = known.lines().filter(|line| !line.starts_with('#')).count();
        let files = fs::read_dir(place).map_err(Failure::io(format!("cannot read {}", place.display())))?;
        let found = files.count();
        if found != known {
            return Err(wrong(format!(
                "{found} jars came, and {} knows {known}",
                digests.display()
            )));
        }
        let checked = Command::new("sha256sum")
            .args(["--check", "--strict", "--quiet"])
            .arg(&digests)
            .current_dir(place)
            .output()
            .map_err(Failure::io("cannot run sha256sum"))?;
        if checked.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&checked.stdout).trim().to_owned();
        Err(wrong(format!("not the expected jars: {text}")))
    }

    fn registry(&self, place: &Path) -> Result<()> {
        let archive = &self.versions.registry;
        let mut maven = self.maven("copy");
        maven
            .arg(format!("-Dartifact={}", archive.artifact))
            .arg(format!("-DoutputDirectory={}", place.display()));
        self.run(maven, &file_name(place), MAVEN_LIMIT)?;
        self.unpack(place, archive)
    }

    fn postgres(&self, place: &Path) -> Result<()> {
        let archive = &self.versions.postgres;
        let mut maven = self.maven("unpack");
        maven
            .arg(format!("-Dartifact={}", archive.artifact))
            .arg(format!("-DmarkersDirectory={}", place.display()))
            .arg(format!("-DoutputDirectory={}", place.display()));
        self.run(maven, &file_name(place), MAVEN_LIMIT)?;
        self.unpack(place, archive)
    }

    /// Checks an archive against its known digest and unpacks it where it lies.
    fn unpack(&self, place: &Path, archive: &Archive) -> Result<()> {
        let Archive { file, sha256, .. } = archive;
        let what = file_name(place);
        let path = place.join(file);
        let digest = Command::new("sha256sum")
            .arg(&path)
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .map_err(Failure::io("cannot run sha256sum"))?;
        if !digest.starts_with(sha256) {
            return Err(Failure::Download {
                what,
                reason: format!(
                    "{file} is not the expected file (SHA-256 {} instead of {sha256})",
                    digest.split(' ').next().unwrap_or_default()
                ),
            });
        }
        let mut tar = Command::new("tar");
        tar.arg("--no-same-owner").arg("-xf").arg(&path).arg("-C").arg(place);
        self.run(tar, &what, UNPACK_LIMIT)?;
        fs::remove_file(&path).map_err(Failure::io(format!("cannot remove {}", path.display())))
    }

    fn maven(&self, goal: &str) -> Command {
        let mut maven = Command::new("mvn");
        // Errors only, without colours; a wrong checksum is one.
        maven
            .args(["-B", "-q", "-C", "-Dstyle.color=never"])
            .arg(format!("{}:{goal}", self.versions.maven_plugin))
            .current_dir(self.layout.downloads());
        maven
    }

    fn run(&self, command: Command, what: &str, limit: Duration) -> Result<()> {
        let log = self.layout.log("download");
        run_logged(command, &log, limit, |reason| Failure::Download {
            what: what.to_owned(),
            reason,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_jar_that_is_not_known_is_refused() {
        let checkout = tempfile::tempdir().unwrap();
        let layout = Layout::at(checkout.path());
        let place = checkout.path().join("jars");
        fs::create_dir_all(&place).unwrap();
        fs::create_dir_all(checkout.path().join("compose/kafka")).unwrap();
        // The digest of "1".
        let digest = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
        let known = format!("# why\n{digest}  a.jar\n");
        fs::write(layout.compose("kafka/jars.sha256"), known).unwrap();
        let versions = Versions::read(&Layout::of_checkout()).unwrap();
        let fetch = Fetch {
            layout: &layout,
            versions: &versions,
        };
        let outcome = |content: &str| {
            fs::write(place.join("a.jar"), content).unwrap();
            fetch.check_jars(&place)
        };
        assert!(outcome("1").is_ok());
        assert!(outcome("2").is_err());
        assert!(outcome("1").is_ok());
        fs::write(place.join("b.jar"), "1").unwrap();
        assert!(fetch.check_jars(&place).is_err());
        fs::remove_file(place.join("b.jar")).unwrap();
        fs::remove_file(place.join("a.jar")).unwrap();
        assert!(fetch.check_jars(&place).is_err());
    }

    #[test]
    fn the_known_jars_are_of_the_version_that_is_fetched() {
        let layout = Layout::of_checkout();
        let versions = Versions::read(&layout).unwrap();
        let known = fs::read_to_string(layout.compose("kafka/jars.sha256")).unwrap();
        assert!(known.contains(&format!("kafka_2.13-{}.jar\n", versions.kafka)));
    }
}
