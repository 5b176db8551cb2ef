//! Starts children in such a way that they end with their parent.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid, setsid};

use super::account::Account;

type Request = (Command, Sender<io::Result<Child>>);

/// Spawns from a thread that lives as long as the process.
///
/// The parent-death signal is sent when the *thread* that started the child ends, not the
/// process; a test's thread ends with the test, while a platform shared by tests must stay.
///
/// # Errors
/// As [`Command::spawn`].
pub fn from_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, inbox) = channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        requests
    });
    let gone = || io::Error::other("the spawning thread has ended");
    let (answer, outcome) = channel();
    spawner.send((command, answer)).map_err(|_| gone())?;
    outcome.recv().map_err(|_| gone())?
}

/// As [`lead_own_session`] under the launcher's own account, for tools that end by themselves.
pub fn in_own_session(command: &mut Command) {
    lead_own_session(command, None, Signal::SIGTERM);
}

/// Makes the child the leader of its own session, with an account, and with a signal that it gets
/// when the launcher dies.
pub(super) fn lead_own_session(command: &mut Command, account: Option<Account>, orphan_signal: Signal) {
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    let launcher = Pid::this();
    // SAFETY: the closure runs between fork and exec and makes system calls only. It runs after
    // the change of account, which would clear the parent-death signal.
    unsafe {
        command.pre_exec(move || {
            setsid()?;
            set_pdeathsig(orphan_signal)?;
            if getppid() != launcher {
                // The launcher died before the line above: nobody would ever signal this child.
                return Err(io::Error::other("the launcher has ended"));
            }
            Ok(())
        });
    }
}
