//! Programs that end by themselves (Maven, tar, cargo, initdb): with a log and a limit, and ended
//! when the user presses Ctrl-C.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::failure::{Failure, Result};
use crate::home::logs::tail;
use crate::interrupt;

use super::spawn::{from_lasting_thread, in_own_session};

/// How long it may take until it is seen that a tool has ended.
const LONGEST_PAUSE: Duration = Duration::from_millis(30);

/// Where the output of a tool goes.
#[derive(Debug, Clone, Copy)]
pub enum Output<'a> {
    /// Appended to a file.
    Log(&'a Path),
    /// To the user.
    Shown,
}

/// Runs a tool to its end.
///
/// # Errors
/// [`Failure::Interrupted`] on Ctrl-C and [`Failure::Io`] when it cannot be run or exceeds the
/// limit; a tool that fails is not an error here, look at the status.
pub fn run(mut command: Command, output: Output<'_>, limit: Duration) -> Result<ExitStatus> {
    let name = command.get_program().to_string_lossy().into_owned();
    let context = format!("cannot run {name}");
    command.stdin(Stdio::null());
    if let Output::Log(path) = output {
        let log = File::options()
            .create(true)
            .append(true)
            .open(path)
            .map_err(Failure::io(format!("cannot open {}", path.display())))?;
        let errors = log.try_clone().map_err(Failure::io(context.clone()))?;
        command.stdout(log).stderr(errors);
    }
    in_own_session(&mut command);
    let mut child = from_lasting_thread(command).map_err(Failure::io(context.clone()))?;
    let deadline = Instant::now() + limit;
    // Many tools are done at once, others take minutes.
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().map_err(Failure::io(context.clone()))? {
            return Ok(status);
        }
        let late = Instant::now() >= deadline;
        if late || interrupt::requested() {
            let group = Pid::from_raw(child.id() as i32);
            let _ = killpg(group, Signal::SIGTERM);
            interrupt::poll_until(Duration::from_secs(5), Duration::from_millis(50), || {
                matches!(child.try_wait(), Ok(Some(_)))
            });
            let _ = killpg(group, Signal::SIGKILL);
            let _ = child.wait();
            interrupt::check()?;
            let slow = std::io::Error::other(format!("not done within {} s", limit.as_secs()));
            return Err(Failure::Io {
                context: name,
                source: slow,
            });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Runs a tool with its output in a log; what it said last becomes the reason when it fails.
///
/// # Errors
/// Whatever `failure` makes of the reason; otherwise as [`run`].
pub fn run_logged(
    command: Command,
    log: &Path,
    limit: Duration,
    failure: impl FnOnce(String) -> Failure,
) -> Result<()> {
    let start_bytes = log.metadata().map(|file| file.len()).unwrap_or(0);
    let name = command.get_program().to_string_lossy().into_owned();
    let status = run(command, Output::Log(log), limit)?;
    if status.success() {
        return Ok(());
    }
    Err(failure(format!(
        "{name} ended with {status}\n  log: {}\n{}",
        log.display(),
        tail(log, start_bytes, 20)
    )))
}
