//! `down`: stop everything; `--wipe` deletes the data.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::{Failure, Result};
use crate::home::Layout;
use crate::home::Lock;
use crate::interrupt;
use crate::platform::postgres;
use crate::process::{leftovers, stop_leftovers};
use crate::progress::Progress;
use crate::system::state::State;

/// A clean stop takes a few seconds. This is long enough for every component to use up its own limit.
const STOP_LIMIT: Duration = Duration::from_secs(180);

/// How to stop.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Also delete all data: Kafka, database, snapshots, mails, keys. Downloads and logs stay.
    #[arg(long)]
    wipe: bool,
}

/// Stops the supervisor, which stops the rest; then whatever a killed one has left.
///
/// # Errors
/// [`Failure::Busy`] when it does not stop within its limit; [`Failure::Io`].
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<ExitCode> {
    let progress = Progress::detect();
    let running = State::load(layout);
    if let Some(state) = &running {
        let pid = Pid::from_raw(state.supervisor.pid as i32);
        let left = || {
            let names: Vec<String> = leftovers(layout).into_iter().map(|it| it.name).collect();
            format!("(left: {})", names.join(", "))
        };
        progress.step_with("stopping BrokerX", left, || {
            let _ = kill(pid, Signal::SIGTERM);
            let gone = interrupt::poll_until(STOP_LIMIT, Duration::from_millis(50), || {
                interrupt::requested() || !state.supervisor.is_alive()
            });
            interrupt::check()?;
            if gone {
                return Ok(());
            }
            Err(Failure::Busy(format!(
                "the supervisor (pid {pid}) did not stop within {} s",
                STOP_LIMIT.as_secs()
            )))
        })?;
    }
    let stopped = stop_leftovers(layout);
    for name in &stopped {
        progress.say(&format!("  stopped {name}, which had been left running"));
    }
    if running.is_none() && stopped.is_empty() {
        println!("BrokerX was not running.");
    } else {
        println!("BrokerX is stopped.");
    }
    if arguments.wipe {
        wipe(layout)?;
        println!("Its data is deleted.");
    }
    Ok(ExitCode::SUCCESS)
}

fn wipe(layout: &Layout) -> Result<()> {
    if !layout.run().is_dir() {
        return Ok(());
    }
    // Nobody may start in the middle of it.
    let Some(_lock) = Lock::try_take(&layout.run().join("lock"))? else {
        return Err(Failure::Busy(
            "another ./brokerx is just starting; its data is not deleted".to_owned(),
        ));
    };
    postgres::wipe(layout)?;
    for directory in [layout.data(), layout.snapshots(), layout.mail(), layout.secrets()] {
        if directory.exists() {
            let context = format!("cannot delete {}", directory.display());
            fs::remove_dir_all(&directory).map_err(Failure::io(context))?;
        }
    }
    Ok(())
}
