//! A lock between launchers: an advisory lock on a file, which the kernel gives back however its
//! holder ends.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use crate::failure::{Failure, Result};
use crate::interrupt;

/// A held lock; dropping it gives it back.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock, or none when another process holds it.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn try_take(path: &Path) -> Result<Option<Lock>> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(Failure::io(format!("cannot open {}", path.display())))?;
        Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .ok()
            .map(|file| Lock { _file: file }))
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// [`Failure::Busy`] after the limit, [`Failure::Interrupted`], or as [`Lock::try_take`].
    pub fn wait(path: &Path, limit: Duration) -> Result<Lock> {
        let mut outcome = Ok(None);
        interrupt::poll_until(limit, Duration::from_millis(100), || {
            outcome = interrupt::check().and_then(|()| Lock::try_take(path));
            !matches!(outcome, Ok(None))
        });
        outcome?.ok_or_else(|| {
            Failure::Busy(format!(
                "another ./brokerx holds {} for more than {} s",
                path.display(),
                limit.as_secs()
            ))
        })
    }
}
