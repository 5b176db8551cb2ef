//! PostgreSQL as a local process; its settings are in `compose/postgres`.

mod place;
mod roles;

use std::fs::{self, DirBuilder};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::failure::{Failure, Result};
use crate::home::{Layout, Secrets, files};
use crate::ports::{Ports, loopback};
use crate::process::tool::run_logged;
use crate::process::{Probe, Spec};

use super::compose;
use super::downloads::Downloads;
use super::options::Options;
use super::security::{Transport, certificates};

pub use place::wipe;
use place::{Place, not_ready};
pub use roles::{DATABASE, Role};

const INIT_LIMIT: Duration = Duration::from_secs(120);

/// Makes the cluster, the database and its roles when that is not done yet.
///
/// # Errors
/// [`Failure::NotReady`] when initialisation fails, [`Failure::Io`].
pub fn prepare(layout: &Layout, options: &Options, downloads: &Downloads, secrets: &Secrets) -> Result<Spec> {
    let place = Place::choose(layout, downloads)?;
    if !place.data.join("PG_VERSION").is_file() {
        place.initialise(layout, secrets)?;
    }
    roles::make(&place, layout, secrets)?;
    let values = [
        ("port", options.ports.postgres.to_string()),
        ("data", place.data.display().to_string()),
    ];
    let mut arguments = vec!["-D".to_owned(), place.data.display().to_string()];
    let settings = |name: &str| compose::pairs(layout, &format!("postgres/{name}.properties"), &values);
    for (name, value) in [settings("settings")?, settings(options.transport.name())?].concat() {
        arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    if options.transport != Transport::Clear {
        place.secure(layout)?;
    }
    Ok(Spec {
        name: "postgres".to_owned(),
        program: place.programs.join("bin/postgres"),
        arguments,
        inherits: Vec::new(),
        environment: Vec::new(),
        directory: place.data,
        account: place.account,
        address: loopback(options.ports.postgres),
        probe: probe(&options.ports, &options.transport),
        ready_limit: Duration::from_secs(60),
        // "Fast" shutdown; SIGTERM would wait for clients to disconnect by themselves.
        stop_signal: Signal::SIGINT,
        stop_limit: Duration::from_secs(20),
        orphan_signal: options.orphan_signal(Signal::SIGINT),
        log: layout.log("postgres"),
    })
}

/// How to see that it serves.
pub fn probe(ports: &Ports, transport: &Transport) -> Probe {
    Probe::Postgres {
        address: loopback(ports.postgres),
        authority: transport.authority().map(Path::to_owned),
    }
}

impl Place {
    /// Puts certificate, key and the rule who may connect beside the data, where its account can read them.
    fn secure(&self, layout: &Layout) -> Result<()> {
        let certificate = certificates::of_server(layout, "postgres");
        let pem =
            fs::read_to_string(&certificate).map_err(Failure::io(format!("cannot read {}", certificate.display())))?;
        let rules = compose::lines(layout, "postgres/secured.hba.conf", &[])?.join("\n") + "\n";
        for (name, text) in [("brokerx-server.pem", pem), ("brokerx-hba.conf", rules)] {
            let path = self.data.join(name);
            files::private(&path, &text)?;
            if let Some(account) = self.account {
                chown(&path, Some(account.uid), Some(account.gid))
                    .map_err(Failure::io(format!("cannot give {} away", path.display())))?;
            }
        }
        Ok(())
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
        files::private(&password, &secrets.database_password)?;
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

    fn create_database(&self, layout: &Layout, data: &Path) -> Result<()> {
        let sql = format!("CREATE DATABASE {DATABASE};\n");
        self.in_single_user_mode(layout, data, "postgres", &sql, "cannot create the database")
    }

    /// Runs statements, each on a line of its own, on data that nobody serves: the download has no client
    /// program.
    fn in_single_user_mode(
        &self,
        layout: &Layout,
        data: &Path,
        database: &str,
        sql: &str,
        context: &str,
    ) -> Result<()> {
        let mut postgres = self.command("postgres", data);
        postgres
            .args(["--single", "-c", "exit_on_error=true"])
            // A statement that fails is shown in the log; the passwords in it must not be.
            .args(["-c", "log_min_error_statement=panic", "-D"])
            .arg(data)
            .arg(database)
            .stdin(Stdio::piped());
        let output = fs::File::options()
            .create(true)
            .append(true)
            .open(layout.log("postgres"))
            .map_err(Failure::io(context))?;
        postgres.stdout(output.try_clone().map_err(Failure::io(context))?);
        postgres.stderr(output);
        let mut child = postgres.spawn().map_err(Failure::io(context))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(sql.as_bytes()).map_err(Failure::io(context))?;
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
