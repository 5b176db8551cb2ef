//! How many files, and so how many connections, the process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What a process needs beside its connections: Kafka, PostgreSQL, logs, snapshots, other listeners.
const OTHERS: u64 = 256;

/// Raises the limit of open files as far as the system lets a process without special rights, and
/// returns how many connections there is room for: at least one.
pub(super) fn room_for_connections() -> usize {
    let files = match raised() {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files is not known");
            1_024
        }
    };
    usize::try_from(files.saturating_sub(OTHERS.min(files / 2)).max(1)).unwrap_or(usize::MAX)
}

fn raised() -> nix::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let room = room_for_connections();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
        assert!(room >= 1 && (room as u64) < hard);
    }
}
