//! Where each thing of a local system lives.
//!
//! ```text
//! .brokerx/                 home of a running system, git-ignored
//!   downloads/              Kafka, registry, PostgreSQL; shared by every home of this checkout
//!   python/                 Python environment of the tests; shared as well
//!   data/                   kafka/, postgres/
//!   snapshots/              snapshots of the workers
//!   mail/                   mails as files
//!   logs/                   NAME.log, and NAME.log.1 of the run before
//!   run/                    what runs (NAME.json), the supervisor's state, its lock
//!   secrets/                keys and the database password, mode 0600
//!   test-PID-N/             homes of test systems, removed after the test
//!   test-failed-PID-N/      logs and mails of the last tests that failed
//! ```

use std::path::{Path, PathBuf};

use crate::failure::Result;
use crate::home::files;

/// The directories of one system: the checkout, and the home of this system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    home: PathBuf,
}

impl Layout {
    /// The layout of the checkout that this crate was compiled in, or of `BROKERX_ROOT`.
    pub fn of_checkout() -> Layout {
        let root = std::env::var_os("BROKERX_ROOT").map_or_else(
            || {
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("..")
                    .canonicalize()
                    .unwrap_or_else(|_| PathBuf::from("."))
            },
            PathBuf::from,
        );
        Layout::at(root)
    }

    /// The layout of a checkout in this directory.
    pub fn at(root: impl Into<PathBuf>) -> Layout {
        let root = root.into();
        let home = root.join(".brokerx");
        Layout { root, home }
    }

    /// The same checkout with another home.
    pub fn with_home(&self, home: impl Into<PathBuf>) -> Layout {
        let home = std::path::absolute(home.into()).unwrap_or_else(|_| self.home.clone());
        Layout {
            root: self.root.clone(),
            home,
        }
    }

    /// Makes the directories and closes them to other users, also those of an earlier start. Only what
    /// PostgreSQL's account must pass through on the way to its data can be entered, not listed, and
    /// downloads, which hold nothing of ours, can be read.
    ///
    /// # Errors
    /// When the operating system refuses, with the path.
    pub fn create(&self) -> Result<()> {
        // A home that is there already may hold other things, and the downloads of a checkout that several
        // users share belong to whoever came first: neither gets another mode.
        for (path, mode) in [(self.home.clone(), 0o711), (self.downloads(), 0o755)] {
            if !path.is_dir() {
                files::directory(&path, mode)?;
            }
        }
        for (path, mode) in [
            (self.data(), 0o711),
            (self.data().join("provider"), 0o700),
            (self.logs(), 0o700),
            (self.run(), 0o700),
            (self.snapshots(), 0o700),
            (self.mail(), 0o700),
            (self.secrets(), 0o700),
        ] {
            files::directory(&path, mode)?;
        }
        Ok(())
    }

    /// The project's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The home of this system, `.brokerx` by default.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// What belongs to the checkout rather than to one system.
    pub fn shared(&self) -> PathBuf {
        self.root.join(".brokerx")
    }

    /// Unpacked downloads, shared by all homes.
    pub fn downloads(&self) -> PathBuf {
        self.shared().join("downloads")
    }

    /// The Python virtual environment, shared by all homes.
    pub fn python(&self) -> PathBuf {
        self.shared().join("python")
    }

    /// Data of Kafka and PostgreSQL.
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Snapshots of the workers.
    pub fn snapshots(&self) -> PathBuf {
        self.home.join("snapshots")
    }

    /// Mails as files.
    pub fn mail(&self) -> PathBuf {
        self.home.join("mail")
    }

    /// Log files.
    pub fn logs(&self) -> PathBuf {
        self.home.join("logs")
    }

    /// The log file of one component.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Records of what runs.
    pub fn run(&self) -> PathBuf {
        self.home.join("run")
    }

    /// Keys and passwords.
    pub fn secrets(&self) -> PathBuf {
        self.home.join("secrets")
    }

    /// A file under `compose/`.
    pub fn compose(&self, name: &str) -> PathBuf {
        self.root.join("compose").join(name)
    }

    /// Where cargo puts what it builds.
    pub fn target(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from)
    }

    /// A release binary.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.target().join("release").join(name)
    }
}

/// The last part of a path as text; empty when it has none.
pub fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn other_users_can_neither_list_nor_read_what_a_system_keeps() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::at(root.path());
        // As an earlier start may have left it.
        fs::create_dir_all(layout.logs()).unwrap();
        fs::set_permissions(layout.logs(), fs::Permissions::from_mode(0o755)).unwrap();
        layout.create().unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for path in [
            layout.logs(),
            layout.mail(),
            layout.run(),
            layout.secrets(),
            layout.snapshots(),
        ] {
            assert_eq!(mode(path.clone()), 0o700, "{}", path.display());
        }
        assert_eq!(mode(layout.data()), 0o711);
        // Somebody else's downloads could not be given a mode, and need none.
        fs::set_permissions(layout.downloads(), fs::Permissions::from_mode(0o775)).unwrap();
        layout.create().unwrap();
        assert_eq!(mode(layout.downloads()), 0o775);
    }
}
