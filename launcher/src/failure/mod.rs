//! Everything that can stop the launcher, each with its own exit code and one clear message.

mod missing;
mod shortage;

use std::io;
use std::path::PathBuf;

pub use missing::{Missing, Remedy};
pub use shortage::Shortage;

/// The result of every fallible function in this crate.
pub type Result<T> = std::result::Result<T, Failure>;

/// Why a command could not do its job. `Display` is the message shown to the user.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Arguments that make no sense together; the message says which do.
    #[error("{0}")]
    Usage(String),
    /// Programs that BrokerX needs are not installed, or are too old.
    #[error("{}", missing::describe(.0))]
    MissingPrerequisites(Vec<Missing>),
    /// A port that a component wants is held by another process.
    #[error("{}", describe_busy_ports(.0))]
    PortsBusy(Vec<BusyPort>),
    /// Too little memory, or too little space on a file system.
    #[error("{}", shortage::describe(.0))]
    Shortage(Vec<Shortage>),
    /// A part of the platform could not be fetched or unpacked.
    #[error("cannot fetch {what}: {reason}")]
    Download {
        /// The part, with its version.
        what: String,
        /// What went wrong, with the last lines of the tool's output.
        reason: String,
    },
    /// The compiler refused, or a binary is missing after the build.
    #[error("the build failed: {0}")]
    Build(String),
    /// A component was started but died, or was not ready within its limit.
    #[error("{name} did not come up: {reason}\n  log: {}\n{log_tail}", log.display())]
    NotReady {
        /// The component.
        name: String,
        /// What was seen.
        reason: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of that log, indented.
        log_tail: String,
    },
    /// The command needs a running system and there is none.
    #[error("BrokerX is not running; start it with: ./brokerx up")]
    NotRunning,
    /// Another launcher works on the same directory.
    #[error("{0}")]
    Busy(String),
    /// A stage of `./brokerx test` failed; its own output says why.
    #[error("stage failed: {0}")]
    Test(String),
    /// The user pressed Ctrl-C, or SIGTERM came, before the command had finished.
    #[error("interrupted")]
    Interrupted,
    /// The message has been shown already (by a child); only the exit code is left to pass on.
    #[error("")]
    Reported(u8),
    /// The operating system refused something.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, with the path.
        context: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file that the launcher wrote earlier cannot be understood any more.
    #[error("{0}")]
    Corrupt(String),
}

/// A port that is taken, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyPort {
    /// The port on loopback.
    pub port: u16,
    /// The component that wants it.
    pub wanted_by: String,
    /// The process that holds it, e.g. `java (pid 812)`; none when it belongs to another user.
    pub holder: Option<String>,
}

fn describe_busy_ports(ports: &[BusyPort]) -> String {
    let mut text = String::new();
    for busy in ports {
        let holder = busy
            .holder
            .as_deref()
            .unwrap_or("a process of another user (see it with: sudo ss -ltnp)");
        text += &format!("port {} ({}) is held by {holder}\n", busy.port, busy.wanted_by);
    }
    text + "  stop what holds it, or choose other ports: ./brokerx up --port-offset 10000"
}

impl Failure {
    /// Wraps an error of the operating system with what was being done.
    pub fn io(context: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
        let context = context.into();
        move |source| Failure::Io { context, source }
    }

    /// The exit code of the process, documented in `./brokerx --help`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Io { .. } | Failure::Corrupt(_) | Failure::Test(_) => 1,
            Failure::Usage(_) => 2,
            Failure::MissingPrerequisites(_) => 3,
            Failure::PortsBusy(_) => 4,
            Failure::Shortage(_) => 5,
            Failure::Download { .. } => 6,
            Failure::Build(_) => 7,
            Failure::NotReady { .. } => 8,
            Failure::NotRunning => 9,
            Failure::Busy(_) => 10,
            Failure::Interrupted => 130,
            Failure::Reported(code) => *code,
        }
    }
}

/// The exit codes, as shown at the end of `./brokerx --help`.
pub const EXIT_CODES: &str = "Exit codes:
  0  done                          6  a download failed
  1  anything not listed here      7  the build failed
  2  wrong arguments               8  a component did not come up
  3  a prerequisite is missing     9  BrokerX is not running
  4  a port is busy               10  another ./brokerx works on the same directory
  5  too little memory or disk   130  interrupted";
