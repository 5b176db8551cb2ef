//! A component as a child process: how it is run, checked and stopped.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::failure::{Failure, Result};
use crate::home::Layout;
use crate::home::logs::tail;
use crate::interrupt;

use super::account::Account;
use super::identity::{self, Identity};
use super::inherited;
use super::probe::Probe;
use super::record::RunRecord;
use super::spawn;

const POLL: Duration = Duration::from_millis(20);
/// How long the kernel may take to end a killed process.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// How a child is run, checked and stopped.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The component's name; also the name of its log and of its record.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What it is left of the launcher's environment, besides what every child is
    /// ([`inherited`](super::inherited)).
    pub inherits: Vec<&'static str>,
    /// What it is told by its environment; goes before what it is left.
    pub environment: Vec<(String, String)>,
    /// Its working directory.
    pub directory: PathBuf,
    /// The account to run as; none for the launcher's own.
    pub account: Option<Account>,
    /// Where it listens, for people.
    pub address: SocketAddr,
    /// How to see that it can serve.
    pub probe: Probe,
    /// How long it may take until it can serve.
    pub ready_limit: Duration,
    /// What asks it to stop.
    pub stop_signal: Signal,
    /// How long it may take to stop; then it is killed.
    pub stop_limit: Duration,
    /// What it gets when the launcher or the test dies.
    pub orphan_signal: Signal,
    /// The file to which its standard output and error are appended. A component that writes a log by
    /// itself, as Kafka does, leaves only the rest to this.
    pub log: PathBuf,
}

impl Spec {
    /// The ports that it holds.
    pub fn ports(&self) -> Vec<u16> {
        let mut ports = vec![self.address.port()];
        if let Probe::Http { address, .. } = &self.probe
            && *address != self.address
        {
            ports.push(address.port());
        }
        ports
    }
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    spec: Spec,
    child: Child,
    /// The file under `run/`, until it is removed. The next process of this name has the same.
    record: Option<PathBuf>,
    log_start_bytes: u64,
    started: Instant,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts the child and records it under `run/`.
    ///
    /// # Errors
    /// When the program cannot be run or its log or record cannot be written.
    pub fn spawn(layout: &Layout, spec: Spec) -> Result<Process> {
        let context = format!("cannot start {} ({})", spec.name, spec.program.display());
        let log = File::options()
            .create(true)
            .append(true)
            .open(&spec.log)
            .map_err(Failure::io(format!("cannot open {}", spec.log.display())))?;
        let log_start_bytes = log.metadata().map(|file| file.len()).unwrap_or(0);
        let errors = log.try_clone().map_err(Failure::io(context.clone()))?;
        let mut command = Command::new(&spec.program);
        inherited::leave_only(&mut command, &spec.inherits);
        command
            .args(&spec.arguments)
            .envs(spec.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&spec.directory)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        spawn::lead_own_session(&mut command, spec.account, spec.orphan_signal);
        let child = spawn::from_lasting_thread(command).map_err(Failure::io(context))?;
        let record = layout.run().join(format!("{}.json", spec.name));
        let process = Process {
            record: Some(record.clone()),
            child,
            log_start_bytes,
            started: Instant::now(),
            ended: None,
            spec,
        };
        process.write_record(&record)?;
        Ok(process)
    }

    /// Starts it again in the same way; what still runs of it is killed.
    ///
    /// # Errors
    /// As [`Process::spawn`]; it then counts as ended.
    pub fn respawn(&mut self, layout: &Layout) -> Result<()> {
        self.kill();
        *self = Process::spawn(layout, self.spec.clone())?;
        Ok(())
    }

    /// The component's name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// How it is run.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// How it is run from its next start on.
    pub fn spec_mut(&mut self) -> &mut Spec {
        &mut self.spec
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, or none while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
            if self.ended.is_some() {
                self.remove_record();
            }
        }
        self.ended
    }

    /// Waits until it can serve.
    ///
    /// # Errors
    /// [`Failure::NotReady`] with the end of its log when it dies or takes too long,
    /// [`Failure::Interrupted`] when a stop is asked for.
    pub fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + self.spec.ready_limit;
        loop {
            interrupt::check()?;
            if let Some(status) = self.ended() {
                return Err(self.not_ready(format!("it ended with {status}")));
            }
            if self.spec.probe.is_ready() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let limit_s = self.spec.ready_limit.as_secs();
                return Err(self.not_ready(format!("not ready within {limit_s} s")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether it can serve now.
    pub fn is_ready(&mut self) -> bool {
        self.ended().is_none() && self.spec.probe.is_ready()
    }

    /// Asks it to stop, waits, and kills it when it takes longer than its limit.
    pub fn stop(&mut self) {
        self.signal(self.spec.stop_signal);
        // A frozen process acts on the stop only once it is continued.
        self.signal(Signal::SIGCONT);
        interrupt::poll_until(self.spec.stop_limit, POLL, || {
            self.ended().is_some() || interrupt::insisted()
        });
        self.kill();
    }

    /// Ends it at once (SIGKILL) with all that descends from it, and reaps it.
    ///
    /// PostgreSQL's backends lead sessions of their own; one that outlives the postmaster for a
    /// moment would keep the next one from starting.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            let descendants = identity::descendants(self.pid());
            self.signal(Signal::SIGKILL);
            self.ended = self.child.wait().ok();
            for descendant in &descendants {
                if descendant.is_alive() {
                    let _ = kill(Pid::from_raw(descendant.pid as i32), Signal::SIGKILL);
                }
            }
            interrupt::poll_until(KILL_LIMIT, POLL, || !descendants.iter().any(Identity::is_alive));
        }
        self.remove_record();
    }

    fn write_record(&self, path: &Path) -> Result<()> {
        let Some(identity) = Identity::of(self.pid()) else {
            // Ended already; whoever waits for it will say why.
            return Ok(());
        };
        let record = RunRecord {
            name: self.spec.name.clone(),
            identity,
            address: self.spec.address.to_string(),
            started_at_s: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            stop_signal: self.spec.stop_signal as i32,
        };
        record.write(path)
    }

    fn remove_record(&mut self) {
        if let Some(record) = self.record.take() {
            let _ = fs::remove_file(record);
        }
    }

    /// Freezes it (SIGSTOP).
    pub fn pause(&mut self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&mut self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&mut self, signal: Signal) {
        // An ended child that is not reaped keeps its pid, so the group cannot be somebody else's.
        if self.ended().is_none() {
            let _ = killpg(Pid::from_raw(self.pid() as i32), signal);
        }
    }

    fn not_ready(&self, reason: String) -> Failure {
        Failure::NotReady {
            name: self.spec.name.clone(),
            reason,
            log_tail: tail(&self.spec.log, self.log_start_bytes, 20),
            log: self.spec.log.clone(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
