//! `up`: start everything, and stay or leave a supervisor in the background.

use std::io::{Write, copy, stderr};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use clap::{Args, ValueEnum};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};

use crate::failure::{Failure, Result};
use crate::home::Layout;
use crate::interrupt;
use crate::platform::{Options, Transport};
use crate::ports::Ports;
use crate::progress::{Progress, Style};
use crate::requirements;
use crate::system::log_filter;
use crate::system::state::{Phase, State};
use crate::system::supervisor;

/// How to start.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Return once everything is ready; a supervisor stays in the background.
    #[arg(long, short)]
    detach: bool,
    /// Encrypt and authenticate everything between the parts: Kafka, registry, database, payment provider. A
    /// home that began so stays so.
    #[arg(long)]
    secured: bool,
    /// Move every port up by this much; 10000 keeps two systems apart.
    #[arg(long, value_name = "N", default_value_t = 0)]
    port_offset: u16,
    #[command(flatten)]
    ports: Ports,
    /// Be the supervisor in the background, showing progress in this way until all is ready.
    #[arg(long, hide = true, value_name = "STYLE")]
    supervise: Option<Style>,
}

impl Arguments {
    /// The same with `--detach`.
    pub fn in_background(self) -> Arguments {
        Arguments { detach: true, ..self }
    }
}

/// Starts the system, or the platform only.
///
/// # Errors
/// Any [`Failure`] of the start; nothing is left running then.
pub fn run(layout: Layout, arguments: Arguments, with_services: bool) -> Result<ExitCode> {
    log_filter::check()?;
    let ports = arguments.ports.shifted(arguments.port_offset)?;
    let transport = Transport::choose(&layout, arguments.secured)?;
    if transport != Transport::Clear {
        requirements::openssl()?;
    }
    if let Some(style) = arguments.supervise {
        let options = Options::new(layout, transport, ports, Progress::new(style));
        return supervise(options, with_services);
    }
    let options = Options::new(layout, transport, ports, Progress::detect());
    if let Some(state) = State::load(&options.layout) {
        return already_there(options, &state, with_services);
    }
    if arguments.detach {
        return detach(&options, with_services);
    }
    supervisor::run(options, with_services, |options| {
        announce("BrokerX is ready; Ctrl-C stops it.", options, with_services);
        Ok(options.progress.unplanned())
    })?;
    Ok(ExitCode::SUCCESS)
}

fn announce(headline: &str, options: &Options, with_services: bool) {
    println!("{headline}\n{}", supervisor::addresses(options, with_services));
}

fn already_there(mut options: Options, state: &State, with_services: bool) -> Result<ExitCode> {
    let pid = state.supervisor.pid;
    match state.phase {
        Phase::Ready if with_services && !state.services => Err(Failure::Busy(format!(
            "only the platform runs (supervisor: pid {pid}); stop it first with: ./brokerx down"
        ))),
        Phase::Ready => {
            options.ports = state.ports.clone();
            let headline = format!("BrokerX runs already (supervisor: pid {pid}).");
            announce(&headline, &options, state.services);
            Ok(ExitCode::SUCCESS)
        }
        Phase::Starting => Err(Failure::Busy(format!(
            "BrokerX is just being started by pid {pid}; see: ./brokerx status"
        ))),
        Phase::Stopping => Err(Failure::Busy(format!(
            "BrokerX is just being stopped by pid {pid}; try again in a few seconds"
        ))),
    }
}

/// The background process. Its standard error is a pipe to the parent until all is ready.
fn supervise(options: Options, with_services: bool) -> Result<ExitCode> {
    let layout = options.layout.clone();
    supervisor::run(options, with_services, |_| supervisor::detach_output(&layout))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs this very program again in a session of its own, shows what it says, and returns when it
/// is ready or has failed.
fn detach(options: &Options, with_services: bool) -> Result<ExitCode> {
    let mut supervisor = spawn_supervisor(options, with_services)?;
    let messages = supervisor.stderr.take();
    let shown = std::thread::spawn(move || {
        if let Some(mut messages) = messages {
            let _ = copy(&mut messages, &mut stderr());
            let _ = stderr().flush();
        }
    });
    let mut stop_sent = false;
    loop {
        if interrupt::requested() && !stop_sent {
            stop_sent = true;
            let _ = kill(Pid::from_raw(supervisor.id() as i32), Signal::SIGTERM);
        }
        let ended = supervisor
            .try_wait()
            .map_err(Failure::io("cannot wait for the supervisor"))?;
        if let Some(status) = ended {
            let _ = shown.join();
            // The supervisor has said why.
            return Err(Failure::Reported(status.code().unwrap_or(1) as u8));
        }
        let ready = State::load(&options.layout)
            .is_some_and(|state| state.phase == Phase::Ready && state.supervisor.pid == supervisor.id());
        if ready && shown.is_finished() {
            let headline = "BrokerX is ready and stays in the background; stop it with: ./brokerx down";
            announce(headline, options, with_services);
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn spawn_supervisor(options: &Options, with_services: bool) -> Result<Child> {
    let context = "cannot start the supervisor";
    let style = options
        .progress
        .style()
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned());
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("--home")
        .arg(options.layout.home())
        .arg(if with_services { "up" } else { "platform" })
        .args(["--supervise", &style])
        .args(options.ports.to_flags())
        .args((options.transport != Transport::Clear).then_some("--secured"))
        .current_dir(options.layout.root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // SAFETY: the closure runs between fork and exec and makes one system call.
    unsafe {
        command.pre_exec(|| {
            setsid()?;
            Ok(())
        });
    }
    command.spawn().map_err(Failure::io(context))
}
