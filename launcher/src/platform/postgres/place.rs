//! Where PostgreSQL's programs and data are, and which account runs them.
//!
//! PostgreSQL refuses to run as root. Started by root it therefore runs as the account `postgres`
//! or `nobody`, which must be able to reach its programs and its data. A checkout below a
//! directory that this account cannot enter (such as `/root`) cannot hold them: they are then put
//! into a directory of their own under `/var/lib`, whose path is written to
//! `.brokerx/elsewhere`.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::geteuid;

use crate::failure::{Failure, Result};
use crate::home::layout::file_name;
use crate::home::{Layout, secrets};
use crate::platform::downloads::Downloads;
use crate::process::account::{Account, unprivileged_account};
use crate::process::tool::run_logged;

const COPY_LIMIT: Duration = Duration::from_secs(120);

const ELSEWHERE: &str = "elsewhere";

/// Where programs and data are, and who runs them.
pub(super) struct Place {
    pub(super) programs: PathBuf,
    pub(super) data: PathBuf,
    pub(super) account: Option<Account>,
}

impl Place {
    pub(super) fn choose(layout: &Layout, downloads: &Downloads) -> Result<Place> {
        let at_home = |account| Place {
            programs: downloads.postgres.clone(),
            data: layout.data().join("postgres"),
            account,
        };
        let account = unprivileged_account().map_err(|missing| Failure::MissingPrerequisites(vec![missing]))?;
        let Some(account) = account else {
            return Ok(at_home(None));
        };
        let reachable = |path: &Path| can_enter(path, account);
        if reachable(&downloads.postgres) && reachable(&layout.data()) {
            return Ok(at_home(Some(account)));
        }
        // Programs once per checkout, data per home.
        let programs = elsewhere(&layout.shared())?.join(file_name(&downloads.postgres));
        if !programs.is_dir() {
            copy_tree(layout, &downloads.postgres, &programs)?;
        }
        Ok(Place {
            programs,
            data: elsewhere(layout.home())?.join("data"),
            account: Some(account),
        })
    }
}

/// Deletes data that had to live outside the home, and the directory made for it unless it also
/// holds the programs.
///
/// # Errors
/// When the operating system refuses.
pub fn wipe(layout: &Layout) -> Result<()> {
    let Some(elsewhere) = recorded(&layout.home().join(ELSEWHERE)) else {
        return Ok(());
    };
    let data = elsewhere.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).map_err(Failure::io(format!("cannot remove {}", data.display())))?;
    }
    if fs::remove_dir(&elsewhere).is_ok() {
        let _ = fs::remove_file(layout.home().join(ELSEWHERE));
    }
    Ok(())
}

/// Whether an account may pass through every directory down to `path`.
fn can_enter(path: &Path, account: Account) -> bool {
    path.ancestors().all(|directory| {
        fs::metadata(directory).is_ok_and(|directory| {
            let mode = directory.mode();
            let bit = if directory.uid() == account.uid {
                0o100
            } else if directory.gid() == account.gid {
                0o010
            } else {
                0o001
            };
            mode & bit != 0
        })
    })
}

/// The directory under `/var/lib` that belongs to a directory of the checkout, made when needed.
/// Its name is random, so nobody else can have made it before.
fn elsewhere(owner: &Path) -> Result<PathBuf> {
    let record = owner.join(ELSEWHERE);
    if let Some(path) = recorded(&record) {
        return Ok(path);
    }
    let path = Path::new("/var/lib").join(format!("brokerx-{}", secrets::random_hex(8)?));
    let io = || Failure::io(format!("cannot create {}", path.display()));
    DirBuilder::new().mode(0o711).create(&path).map_err(io())?;
    fs::write(&record, path.as_os_str().as_encoded_bytes()).map_err(io())?;
    Ok(path)
}

/// The directory that a record names, when it is still there and still ours.
fn recorded(record: &Path) -> Option<PathBuf> {
    let path = PathBuf::from(fs::read_to_string(record).ok()?);
    let metadata = fs::symlink_metadata(&path).ok()?;
    (metadata.is_dir() && metadata.uid() == geteuid().as_raw()).then_some(path)
}

fn copy_tree(layout: &Layout, from: &Path, to: &Path) -> Result<()> {
    let draft = to.with_extension("part");
    let mut copy = Command::new("cp");
    copy.arg("-RT").arg(from).arg(&draft);
    run_logged(copy, &layout.log("postgres"), COPY_LIMIT, |reason| {
        not_ready(layout, "its programs could not be copied", reason)
    })?;
    let io = || Failure::io(format!("cannot create {}", to.display()));
    fs::set_permissions(&draft, Permissions::from_mode(0o755)).map_err(io())?;
    fs::rename(&draft, to).map_err(io())
}

/// The failure to prepare PostgreSQL.
pub(super) fn not_ready(layout: &Layout, reason: &str, log_tail: String) -> Failure {
    Failure::NotReady {
        name: "postgres".to_owned(),
        reason: reason.to_owned(),
        log: layout.log("postgres"),
        log_tail,
    }
}
