//! The API key of an operator for one run of a program: made before it, taken back after it, however it ended.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::{Failure, Result};
use crate::interrupt;

/// The operator on whose behalf programs act.
const EMAIL: &str = "tools@brokerx.invalid";
/// The key ends by itself after this, should it not be taken back.
const LIFETIME: &str = "12h";
/// The variable in which a program finds the key.
const VARIABLE: &str = "BROKERX_OPERATOR_KEY";
/// How often it is looked whether the program has ended, or a stop was asked for.
const LOOK: Duration = Duration::from_millis(20);

/// A key that was made.
struct Key {
    key_id: String,
    api_key: String,
}

/// Runs a program with a key of its own. `operator` makes a command of `brokerx-operator`. A stop that is
/// asked for is passed on to the program.
///
/// # Errors
/// [`Failure::Io`] when there is no key, or the program cannot be run.
pub fn run_with_key(mut program: Command, operator: impl Fn() -> Command) -> Result<ExitStatus> {
    let key = make(operator())?;
    program.env(VARIABLE, &key.api_key);
    let ran = run(&mut program);
    take_back(operator(), &key.key_id);
    ran
}

fn make(mut operator: Command) -> Result<Key> {
    let output = operator
        .args(["add", EMAIL, "--lifetime", LIFETIME])
        .output()
        .map_err(Failure::io("cannot add an operator"))?;
    let added: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let text = |name: &str| added[name].as_str().map(str::to_owned);
    match (text("key_id"), text("api_key")) {
        (Some(key_id), Some(api_key)) => Ok(Key { key_id, api_key }),
        _ => {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Failure::io("cannot add an operator")(std::io::Error::other(reason)))
        }
    }
}

fn run(program: &mut Command) -> Result<ExitStatus> {
    let cannot = || Failure::io("cannot run the program");
    let mut child = program.spawn().map_err(cannot())?;
    let pid = Pid::from_raw(child.id() as i32);
    let mut sent = None;
    loop {
        if let Some(status) = child.try_wait().map_err(cannot())? {
            return Ok(status);
        }
        let wanted = match (interrupt::requested(), interrupt::insisted()) {
            (_, true) => Some(Signal::SIGKILL),
            (true, false) => Some(Signal::SIGTERM),
            (false, false) => None,
        };
        if wanted != sent {
            // It may have ended in between; the next look sees that.
            let _ = wanted.map(|signal| kill(pid, signal));
            sent = wanted;
        }
        std::thread::sleep(LOOK);
    }
}

/// The program's outcome counts, whatever becomes of its key.
fn take_back(mut operator: Command, key_id: &str) {
    let revoked = operator.args(["revoke", key_id]).output();
    if !revoked.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "The program's API key could not be taken back. It ends by itself within {LIFETIME}, or now with:\n\
             ./brokerx operator revoke {key_id}"
        );
    }
}

/// What the shell would say of a program that ended like this.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// An operator that notes what it is asked for, in place of the real one.
    fn operator(folder: &Path) -> impl Fn() -> Command {
        let log = folder.join("log");
        move || {
            let mut command = Command::new("sh");
            command.arg("-c").arg(format!(
                r#"echo "$*" >> {}; echo '{{"key_id":"id-1","api_key":"secret-1"}}'"#,
                log.display()
            ));
            command.arg("operator");
            command
        }
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_key_is_taken_back_however_the_program_ends() {
        for (script, code) in [
            ("test $BROKERX_OPERATOR_KEY = secret-1", 0),
            ("exit 3", 3),
            ("kill -9 $$", 137),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let status = run_with_key(shell(script), operator(folder.path())).unwrap();
            assert_eq!(exit_code(status), code, "{script}");
            let asked = fs::read_to_string(folder.path().join("log")).unwrap();
            assert_eq!(
                asked, "add tools@brokerx.invalid --lifetime 12h\nrevoke id-1\n",
                "{script}"
            );
        }
    }

    #[test]
    fn a_key_is_taken_back_when_there_is_no_program() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = Command::new(folder.path().join("nothing"));
        assert!(run_with_key(nothing, operator(folder.path())).is_err());
        let asked = fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(asked.ends_with("revoke id-1\n"), "{asked}");
    }

    #[test]
    fn without_a_key_nothing_runs() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("ran");
        let program = shell(&format!("touch {}", mark.display()));
        assert!(run_with_key(program, || shell("echo no >&2; exit 1")).is_err());
        assert!(!mark.exists());
    }
}
