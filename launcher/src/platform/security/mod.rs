//! Whether the parts of a system speak in clear, as they may on one machine, or encrypted and authenticated
//! (`up --secured`): Kafka, registry, database and payment provider prove who they are by [`certificates`] of
//! an authority of the home's own. Each process proves to Kafka who it is by a password of its own, to the registry
//! by one of the [`tokens`], and settlement to the payment provider by theirs.
//!
//! A home is the one or the other for as long as it has data: what is not in it from the start, as the users in
//! Kafka's own log, cannot be added by a start.

pub mod certificates;
mod openssl;
pub mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::home::Layout;

/// How the parts of a system speak with each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Transport {
    /// In clear; Kafka knows nobody's name.
    #[default]
    Clear,
    /// Over TLS; Kafka asks for name and password.
    Secured {
        /// The certificate of the authority that certifies the servers, PEM.
        authority: PathBuf,
    },
}

impl Transport {
    /// That of a home as it is.
    pub fn of_home(layout: &Layout) -> Transport {
        if mark(layout).is_file() {
            Transport::secured(layout)
        } else {
            Transport::Clear
        }
    }

    /// That of a start in a home. A secured home stays so, whether it is asked for or not.
    ///
    /// # Errors
    /// [`Failure::Corrupt`] when a secured start is asked for and there is data of another.
    pub fn choose(layout: &Layout, secured: bool) -> Result<Transport> {
        let of_home = Transport::of_home(layout);
        if !secured || of_home != Transport::Clear {
            return Ok(of_home);
        }
        if layout.data().join("kafka").exists() {
            let home = layout.home().display();
            return Err(Failure::Corrupt(format!(
                "the data in {home} is of a system that speaks in clear, and cannot be used by a secured one.\n  \
                 take another home: ./brokerx --home DIRECTORY up --secured --port-offset 10000\n  \
                 or delete the data: ./brokerx down --wipe"
            )));
        }
        Ok(Transport::secured(layout))
    }

    /// Notes in the home how its parts speak, before there is any data; makes the certificates that are missing
    /// or will soon end, and tokens.
    ///
    /// # Errors
    /// When a file cannot be written, or `openssl` is missing or refuses.
    pub fn prepare(&self, layout: &Layout) -> Result<()> {
        if *self == Transport::Clear {
            return Ok(());
        }
        certificates::prepare(layout)?;
        tokens::prepare(layout)?;
        let mark = mark(layout);
        fs::write(&mark, "TLS, and passwords in Kafka\n")
            .map_err(Failure::io(format!("cannot write {}", mark.display())))
    }

    fn secured(layout: &Layout) -> Transport {
        Transport::Secured {
            authority: certificates::authority(layout),
        }
    }

    /// Whom its clients believe, as a file in PEM; none in clear.
    pub fn authority(&self) -> Option<&Path> {
        match self {
            Transport::Clear => None,
            Transport::Secured { authority } => Some(authority),
        }
    }

    /// The scheme of its HTTP servers that only its own processes use.
    pub fn scheme(&self) -> &'static str {
        self.named("http", "https")
    }

    /// The ending of the files in `compose/` that are for it alone.
    pub fn name(&self) -> &'static str {
        self.named("clear", "secured")
    }

    fn named(&self, clear: &'static str, secured: &'static str) -> &'static str {
        match self {
            Transport::Clear => clear,
            Transport::Secured { .. } => secured,
        }
    }
}

/// The mark of a secured home: with its data, and gone with it.
fn mark(layout: &Layout) -> PathBuf {
    layout.data().join("secured")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_home_stays_as_it_began() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::of_checkout().with_home(root.path());
        layout.create().unwrap();
        assert_eq!(Transport::choose(&layout, false).unwrap(), Transport::Clear);
        let secured = Transport::choose(&layout, true).unwrap();
        assert_ne!(secured, Transport::Clear);
        assert_eq!(Transport::of_home(&layout), Transport::Clear, "nothing began yet");
        secured.prepare(&layout).unwrap();
        assert_eq!(Transport::choose(&layout, false).unwrap(), secured);
        assert_eq!(Transport::choose(&layout, true).unwrap(), secured);

        let clear = tempfile::tempdir().unwrap();
        let clear = Layout::at(clear.path());
        fs::create_dir_all(clear.data().join("kafka")).unwrap();
        let refused = Transport::choose(&clear, true).unwrap_err().to_string();
        assert!(refused.contains("down --wipe"), "{refused}");
        assert_eq!(Transport::choose(&clear, false).unwrap(), Transport::Clear);
    }
}
