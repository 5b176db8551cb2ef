//! The schemas that a process has met, kept in a file, so that it can start while the registry is away.
//!
//! What an id of a registry stands for never changes, so what was true once still is. The file belongs to
//! one registry, by its address, and lies where it is deleted together with what that registry stores.
//! Processes may share the file: it is replaced as a whole, and what one forgets of another is asked for
//! again.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

const FILE: &str = "schemas.json";

/// The file of one directory, for one registry.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    registry: String,
    /// Under which id a subject has a schema; a subject may have several versions.
    subjects: BTreeMap<String, BTreeMap<u32, String>>,
    /// Avro schemas of other ids.
    others: BTreeMap<u32, String>,
}

impl Memory {
    /// What `directory` holds of the registry at `url`. A file that is missing or unusable, or that
    /// belongs to another registry, is an empty memory: the registry is asked, as without one.
    pub(super) fn open(directory: &Path, url: &str) -> Self {
        let path = directory.join(FILE);
        let empty = || Known {
            registry: url.to_owned(),
            ..Known::default()
        };
        let known = match fs::read(&path).map(|bytes| serde_json::from_slice::<Known>(&bytes)) {
            Ok(Ok(known)) if known.registry == url => known,
            Ok(Ok(_)) => empty(),
            Ok(Err(error)) => {
                tracing::warn!(path = %path.display(), %error, "the known schemas cannot be read");
                empty()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => empty(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the known schemas cannot be read");
                empty()
            }
        };
        Self {
            path,
            known: Mutex::new(known),
        }
    }

    /// The id of exactly this schema under a subject.
    pub(super) fn id_of(&self, subject: &str, schema: &str) -> Option<u32> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = known.subjects.get(subject)?;
        versions.iter().find(|(_, text)| *text == schema).map(|(id, _)| *id)
    }

    /// Every schema that is known, by id: also what other builds have registered for our own subjects.
    pub(super) fn all(&self) -> BTreeMap<u32, String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let own = known.subjects.values().flatten();
        let all = known.others.iter().chain(own);
        all.map(|(id, schema)| (*id, schema.clone())).collect()
    }

    /// Keeps what this build's schemas are registered as.
    pub(super) fn keep_own<'a>(&self, schemas: impl Iterator<Item = (String, u32, &'a str)>) {
        self.keep(|known| {
            for (subject, id, schema) in schemas {
                known.subjects.entry(subject).or_default().insert(id, schema.to_owned());
            }
        });
    }

    /// Keeps a schema that was asked for.
    pub(super) fn keep_other(&self, id: u32, schema: &str) {
        self.keep(|known| drop(known.others.insert(id, schema.to_owned())));
    }

    /// A file that cannot be written is no reason not to work: the next start asks the registry.
    fn keep(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.clone();
        change(&mut known);
        if *known == before && self.path.exists() {
            return;
        }
        if let Err(error) = replace(&self.path, &known) {
            tracing::warn!(path = %self.path.display(), %error, "the known schemas cannot be kept");
        }
    }
}

/// Writes the file beside its place and moves it there: whoever reads finds the old one or the new one.
fn replace(path: &Path, known: &Known) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let beside = directory.join(format!(".{FILE}.{}", uuid::Uuid::new_v4()));
    let written = (|| {
        let mut file = fs::File::create_new(&beside)?;
        file.write_all(&serde_json::to_vec(known)?)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&beside);
    }
    written
}
