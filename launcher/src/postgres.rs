//! PostgreSQL 18 as a local process.
//!
//! PostgreSQL refuses to run as root. Started by root it therefore runs as the account `postgres`
//! or `nobody`, which must be able to reach its programs and its data. A checkout below a
//! directory that this account cannot enter (such as `/root`) cannot hold them: they are then put
//! into a directory of their own under `/var/lib`, whose path is written to
//! `.brokerx/elsewhere`.

use std::fs::{self, DirBuilder, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use crate::download::Downloads;
use crate::failure::{Failure, Missing, Result};
use crate::layout::Layout;
use crate::platform::Options;
use crate::ports::{Ports, loopback};
use crate::probe::Probe;
use crate::process::{Account, Spec};
use crate::secrets::{self, Secrets};
use crate::tool::run_logged;

/// The database, and the role that owns it.
pub const DATABASE: &str = "brokerx";

const INIT_LIMIT: Duration = Duration::from_secs(120);

/// The connection URL for the services.
pub fn url(ports: &Ports, secrets: &Secrets) -> String {
    format!(
        "postgres://{DATABASE}:{}@{}/{DATABASE}",
        secrets.database_password,
        loopback(ports.postgres)
    )
}

/// Makes the cluster and the database when that is not done yet.
///
/// # Errors
/// [`Failure::NotReady`] when initialisation fails, [`Failure::Io`].
pub fn prepare(layout: &Layout, options: &Options, downloads: &Downloads, secrets: &Secrets) -> Result<Spec> {
    let place = Place::choose(layout, downloads)?;
    if !place.data.join("PG_VERSION").is_file() {
        place.initialise(layout, secrets)?;
    }
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={}", options.ports.postgres),
        // TCP only: the path of a socket in a deep checkout would exceed the kernel's 107 bytes.
        "unix_socket_directories=".to_owned(),
        "max_connections=200".to_owned(),
        "log_line_prefix=%m [%p] ".to_owned(),
        "max_wal_size=1GB".to_owned(),
    ];
    let mut arguments = vec!["-D".to_owned(), place.data.display().to_string()];
    for setting in settings {
        arguments.extend(["-c".to_owned(), setting]);
    }
    Ok(Spec {
        name: "postgres".to_owned(),
        program: place.programs.join("bin/postgres"),
        arguments,
        environment: Vec::new(),
        directory: place.data,
        account: place.account,
        address: loopback(options.ports.postgres),
        probe: Probe::Postgres(loopback(options.ports.postgres)),
        ready_limit: Duration::from_secs(60),
        // "Fast" shutdown; SIGTERM would wait for clients to disconnect by themselves.
        stop_signal: Signal::SIGINT,
        stop_limit: Duration::from_secs(20),
        orphan_signal: options.orphan_signal(Signal::SIGINT),
        log: layout.log("postgres"),
    })
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

const ELSEWHERE: &str = "elsewhere";

/// Where programs and data are, and who runs them.
struct Place {
    programs: PathBuf,
    data: PathBuf,
    account: Option<Account>,
}

impl Place {
    fn choose(layout: &Layout, downloads: &Downloads) -> Result<Place> {
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
        let programs = elsewhere(&layout.shared())?.join("postgres-18.1.0");
        if !programs.is_dir() {
            copy_tree(layout, &downloads.postgres, &programs)?;
        }
        Ok(Place {
            programs,
            data: elsewhere(layout.home())?.join("data"),
            account: Some(account),
        })
    }

    /// Makes the cluster beside its place and renames it: half an initialisation is never used.
    fn initialise(&self, layout: &Layout, secrets: &Secrets) -> Result<()> {
        let draft = self.data.with_extension("new");
        for old in [&draft, &self.data] {
            if old.exists() {
                fs::remove_dir_all(old).map_err(Failure::io(format!("cannot remove {}", old.display())))?;
            }
        }
        let context = format!("cannot create {}", draft.display());
        DirBuilder::new()
            .mode(0o700)
            .create(&draft)
            .map_err(Failure::io(context.clone()))?;
        let password = draft.with_extension("password");
        write_secret(&password, &secrets.database_password)?;
        if let Some(account) = self.account {
            for path in [&draft, &password] {
                chown(path, Some(account.uid), Some(account.gid)).map_err(Failure::io(context.clone()))?;
            }
        }
        let mut initdb = self.command("initdb", &draft);
        initdb
            .arg("-D")
            .arg(&draft)
            .args(["--username", DATABASE, "--auth", "scram-sha-256"])
            .arg(format!("--pwfile={}", password.display()))
            // The built-in provider sorts and folds case the same on every machine.
            .args(["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"])
            .args(["--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions"]);
        let made = self
            .run(layout, initdb, "initdb failed")
            .and_then(|()| self.create_database(layout, &draft));
        let _ = fs::remove_file(&password);
        made?;
        fs::rename(&draft, &self.data).map_err(Failure::io(context))
    }

    /// Single-user mode, since the download has no client program.
    fn create_database(&self, layout: &Layout, data: &Path) -> Result<()> {
        let mut postgres = self.command("postgres", data);
        postgres
            .args(["--single", "-D"])
            .arg(data)
            .arg("postgres")
            .stdin(Stdio::piped());
        let log = layout.log("postgres");
        let context = "cannot create the database";
        let output = fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(Failure::io(context))?;
        postgres.stdout(output.try_clone().map_err(Failure::io(context))?);
        postgres.stderr(output);
        let mut child = postgres.spawn().map_err(Failure::io(context))?;
        if let Some(mut input) = child.stdin.take() {
            input
                .write_all(format!("CREATE DATABASE {DATABASE};\n").as_bytes())
                .map_err(Failure::io(context))?;
        }
        let status = child.wait().map_err(Failure::io(context))?;
        if status.success() {
            return Ok(());
        }
        Err(not_ready(layout, context, String::new()))
    }

    fn command(&self, program: &str, directory: &Path) -> Command {
        let mut command = Command::new(self.programs.join("bin").join(program));
        command.current_dir(directory);
        if let Some(account) = self.account {
            std::os::unix::process::CommandExt::uid(&mut command, account.uid);
            std::os::unix::process::CommandExt::gid(&mut command, account.gid);
        }
        command
    }

    fn run(&self, layout: &Layout, command: Command, what: &str) -> Result<()> {
        run_logged(command, &layout.log("postgres"), INIT_LIMIT, |reason| {
            not_ready(layout, what, reason)
        })
    }
}

fn not_ready(layout: &Layout, reason: &str, log_tail: String) -> Failure {
    Failure::NotReady {
        name: "postgres".to_owned(),
        reason: reason.to_owned(),
        log: layout.log("postgres"),
        log_tail,
    }
}

/// The account that PostgreSQL runs as when root starts it; none for anybody else.
///
/// # Errors
/// When there is no such account.
pub fn unprivileged_account() -> std::result::Result<Option<Account>, Missing> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(|user| {
            Some(Account {
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
            })
        })
        .ok_or_else(|| Missing {
            what: "an account `postgres` or `nobody`".to_owned(),
            found: "as PostgreSQL refuses to run as root, but there is neither".to_owned(),
            install: "useradd --system postgres".to_owned(),
        })
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
    run_logged(copy, &layout.log("postgres"), INIT_LIMIT, |reason| {
        not_ready(layout, "its programs could not be copied", reason)
    })?;
    let io = || Failure::io(format!("cannot create {}", to.display()));
    fs::set_permissions(&draft, Permissions::from_mode(0o755)).map_err(io())?;
    fs::rename(&draft, to).map_err(io())
}

fn write_secret(path: &Path, secret: &str) -> Result<()> {
    let _ = fs::remove_file(path);
    fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(secret.as_bytes()))
        .map_err(Failure::io(format!("cannot write {}", path.display())))
}
