//! `compose/versions.properties`: what is fetched, in which version.

use std::collections::BTreeMap;

use crate::failure::{Failure, Result};
use crate::home::Layout;

use super::compose;

const FILE: &str = "versions.properties";

/// What is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Versions {
    /// The Maven plugin that fetches, as `GROUP:ARTIFACT:VERSION`.
    pub(super) maven_plugin: String,
    /// Kafka's version.
    pub(super) kafka: String,
    /// The registry.
    pub(super) registry: Archive,
    /// PostgreSQL for this kind of processor.
    pub(super) postgres: Archive,
}

/// An archive in an artifact of Maven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Archive {
    pub(super) version: String,
    /// As Maven names it, `GROUP:ARTIFACT:VERSION` with what else it takes.
    pub(super) artifact: String,
    /// The file that is there once Maven is done.
    pub(super) file: String,
    /// Its digest, in hexadecimal.
    pub(super) sha256: String,
}

impl Versions {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or something is missing in it.
    pub(super) fn read(layout: &Layout) -> Result<Versions> {
        // Stays as it is until the version that stands beside it has been read.
        let version = [("version", "{version}".to_owned())];
        let settings: BTreeMap<String, String> = compose::pairs(layout, FILE, &version)?.into_iter().collect();
        Versions::of(&settings, std::env::consts::ARCH)
            .map_err(|name| Failure::Corrupt(format!("{} has no {name}", layout.compose(FILE).display())))
    }

    /// The error is the name of what is missing.
    fn of(settings: &BTreeMap<String, String>, processor: &str) -> std::result::Result<Versions, String> {
        let setting = |name: &str| settings.get(name).cloned().ok_or_else(|| name.to_owned());
        let archive = |version: &str, prefix: &str| {
            let version = setting(version)?;
            let filled_in = |name: &str| {
                let text = setting(&format!("{prefix}.{name}"))?;
                Ok::<_, String>(text.replace("{version}", &version))
            };
            Ok::<_, String>(Archive {
                artifact: filled_in("artifact")?,
                file: filled_in("archive")?,
                sha256: filled_in("sha256")?,
                version,
            })
        };
        Ok(Versions {
            maven_plugin: setting("maven.plugin")?,
            kafka: setting("kafka.version")?,
            registry: archive("registry.version", "registry")?,
            postgres: archive("postgres.version", &format!("postgres.{processor}"))?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_complete_for_both_processors() {
        let layout = Layout::of_checkout();
        let version = [("version", "{version}".to_owned())];
        let settings = compose::pairs(&layout, FILE, &version).unwrap().into_iter().collect();
        for processor in ["x86_64", "aarch64"] {
            let versions = Versions::of(&settings, processor).unwrap();
            for archive in [versions.registry, versions.postgres] {
                assert_eq!(archive.sha256.len(), 64, "{archive:?}");
                assert!(archive.artifact.contains(&archive.version), "{archive:?}");
                assert!(!archive.file.contains('{'), "{archive:?}");
            }
        }
        assert_eq!(
            Versions::of(&settings, "abacus").unwrap_err(),
            "postgres.abacus.artifact"
        );
    }
}
