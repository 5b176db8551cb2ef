//! The program `openssl`, which makes keys, certificates and signatures.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::home::Layout;
use crate::process::tool::{Output, run, run_logged};
use crate::requirements;

/// Each of its tasks is done within milliseconds, a new RSA key within a second.
const LIMIT: Duration = Duration::from_secs(30);

/// Where it is, and where what it says goes.
pub(super) struct OpenSsl {
    program: PathBuf,
    log: PathBuf,
}

impl OpenSsl {
    /// # Errors
    /// When it is not there.
    pub(super) fn of(layout: &Layout) -> Result<OpenSsl> {
        Ok(OpenSsl {
            program: requirements::openssl()?,
            log: layout.log("openssl"),
        })
    }

    /// Has something done; `what` it is stands in the message when that fails.
    ///
    /// # Errors
    /// When it refuses, with what it said, or is not done in time.
    pub(super) fn run(&self, what: &str, arguments: impl FnOnce(&mut Command)) -> Result<()> {
        let refused = |reason| {
            let context = format!("cannot {what} with {}", self.program.display());
            Failure::io(context)(std::io::Error::other(reason))
        };
        run_logged(self.command(arguments), &self.log, LIMIT, refused)
    }

    /// Whether it answers a question with yes. One that it cannot answer is answered with no.
    pub(super) fn confirms(&self, arguments: impl FnOnce(&mut Command)) -> bool {
        run(self.command(arguments), Output::Log(&self.log), LIMIT).is_ok_and(|status| status.success())
    }

    fn command(&self, arguments: impl FnOnce(&mut Command)) -> Command {
        let mut openssl = Command::new(&self.program);
        arguments(&mut openssl);
        openssl
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_it_refuses_is_said_in_its_words() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::of_checkout().with_home(root.path());
        layout.create().unwrap();
        let openssl = OpenSsl::of(&layout).unwrap();
        assert!(openssl.confirms(|openssl| {
            openssl.arg("version");
        }));
        let refused = openssl.run("read a key", |openssl| {
            openssl.args(["pkey", "-in", "/does/not/exist"]);
        });
        let said = refused.unwrap_err().to_string();
        assert!(
            said.contains("cannot read a key") && said.contains("No such file"),
            "{said}"
        );
    }
}
