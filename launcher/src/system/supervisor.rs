//! Starts a system, keeps it running, stops it. The same code serves `up` in the foreground and
//! the background process of `up --detach`.

use std::collections::BTreeMap;
use std::fs::File;
use std::time::{Duration, Instant};

use crate::builds::cargo;
use crate::failure::{Failure, Result};
use crate::home::{Layout, Lock, logs};
use crate::interrupt;
use crate::platform::{Downloads, Options, Platform, registry};
use crate::ports::{check_free, loopback};
use crate::process::{Process, stop_leftovers};
use crate::progress::{Progress, Style};
use crate::requirements;
use crate::requirements::disk::file_system;

use super::System;
use super::services;
use super::state::{Phase, StateFile};

const TICK: Duration = Duration::from_millis(200);
const LOG_CHECK: Duration = Duration::from_secs(10);
const BACK_OFF_MIN: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// With less free space than this a component that ended very likely ended for that.
const DISK_LOW_MEBIBYTES: u64 = 64;
/// A component that has run this long was well, so its next restart is quick again.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// Runs a system until a stop is asked for. `when_ready` is called once all is ready and may
/// change how progress is shown.
///
/// # Errors
/// Any [`Failure`] of the start; nothing is left running then. A clean stop is no error.
pub fn run(
    mut options: Options,
    with_services: bool,
    when_ready: impl FnOnce(&Options) -> Result<Progress>,
) -> Result<()> {
    let layout = options.layout.clone();
    layout.create()?;
    let Some(_lock) = Lock::try_take(&layout.run().join("lock"))? else {
        return Err(Failure::Busy(format!(
            "another ./brokerx is just starting or stopping in {}; see: ./brokerx status",
            layout.home().display()
        )));
    };
    let mut state = StateFile::create(&layout, options.ports.clone(), with_services)?;
    for name in stop_leftovers(&layout) {
        let text = format!("  stopped {name}, which a killed ./brokerx had left running");
        options.progress.say(&text);
    }
    check(&options, with_services)?;
    logs::set_aside(&layout);
    options.progress = options.progress.planned(steps(&options, with_services)?);
    let mut system = if with_services {
        fetch_and_build(&layout, &options.progress)?;
        System::start(options)?
    } else {
        System::start_platform(options)?
    };
    state.enter(Phase::Ready)?;
    let progress = when_ready(system.options())?;
    system.set_progress(progress);
    keep_running(&mut system);
    state.enter(Phase::Stopping)?;
    system.stop();
    Ok(())
}

/// Side by side: the one waits for the network, the other for the processors. A build goes on when
/// nothing can be fetched: the next start has it.
fn fetch_and_build(layout: &Layout, progress: &Progress) -> Result<()> {
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| Downloads::ensure(layout, &progress.beside()));
        let built = cargo::build(layout, services::binaries(), progress);
        let fetched = fetching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        built.and(fetched.map(drop))
    })
}

/// How many steps a start shows.
fn steps(options: &Options, with_services: bool) -> Result<usize> {
    const BUILD: usize = 1;
    let (layout, transport) = (&options.layout, &options.transport);
    if with_services {
        Ok(BUILD + System::steps(layout, transport)?)
    } else {
        Platform::steps(layout, transport)
    }
}

/// Everything that can be refused before anything is fetched, built or started.
fn check(options: &Options, with_services: bool) -> Result<()> {
    requirements::check(&options.layout, System::intent(&options.layout, with_services)?)?;
    let mut ports = options.ports.of_platform();
    if with_services {
        ports.extend(options.ports.of_services());
    }
    check_free(&ports)
}

/// The addresses of a running system, for people.
pub fn addresses(options: &Options, with_services: bool) -> String {
    let ports = &options.ports;
    let mut lines = Vec::new();
    if with_services {
        lines.extend([
            ("HTTP API", services::public_url(ports)),
            ("WebSocket feed", services::feed_url(ports)),
            (
                "metrics",
                format!(
                    "ingress http://127.0.0.1:{}, notifier http://127.0.0.1:{}, settlement http://127.0.0.1:{}, \
                     matcher http://127.0.0.1:{} (/metrics)",
                    ports.ingress_admin, ports.notifier_admin, ports.settlement, ports.matcher
                ),
            ),
        ]);
    }
    lines.extend([
        ("Kafka", kafka(options)),
        ("schema registry", registry::url(ports, &options.transport)),
        (
            "PostgreSQL",
            format!(
                "127.0.0.1:{} database brokerx (password in {})",
                ports.postgres,
                options.layout.secrets().join("database-password").display()
            ),
        ),
        ("mails", options.layout.mail().display().to_string()),
        ("logs", options.layout.logs().display().to_string()),
    ]);
    lines
        .iter()
        .map(|(name, value)| format!("  {name:<16} {value}\n"))
        .collect()
}

fn kafka(options: &Options) -> String {
    let address = loopback(options.ports.kafka);
    match options.transport.authority() {
        None => address.to_string(),
        Some(authority) => format!(
            "{address} over TLS as readers (password in {}), certified by {}",
            options.layout.secrets().join("kafka-password-readers").display(),
            authority.display()
        ),
    }
}

/// Sends this process's further messages to the supervisor's log, which also tells the waiting
/// parent (it sees its pipe close) that there is no more to show.
///
/// # Errors
/// When the log cannot be opened.
pub fn detach_output(layout: &Layout) -> Result<Progress> {
    let path = layout.log("supervisor");
    let context = format!("cannot write {}", path.display());
    let log = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(Failure::io(context.clone()))?;
    nix::unistd::dup2_stderr(&log)
        .map_err(std::io::Error::from)
        .map_err(Failure::io(context))?;
    Ok(Progress::new(Style::Lines))
}

fn keep_running(system: &mut System) {
    let layout = system.layout().clone();
    let progress = system.options().progress.unplanned();
    let mut back_offs: BTreeMap<String, BackOff> = BTreeMap::new();
    let mut next_log_check = Instant::now();
    while !interrupt::requested() {
        for process in system.processes_mut() {
            let back_off = back_offs.entry(process.name().to_owned()).or_default();
            restart_when_ended(process, back_off, &layout, &progress);
        }
        if Instant::now() >= next_log_check {
            next_log_check = Instant::now() + LOG_CHECK;
            logs::limit_sizes(&layout);
        }
        std::thread::sleep(TICK);
    }
}

/// When an ended component is started again: at first after 1 s, then after twice as long each
/// time, at most 30 s. What counts are attempts, whether the component came up or could not even be
/// started; only one that ran for a while begins anew.
#[derive(Debug, Default)]
struct BackOff {
    wait: Option<Duration>,
    due: Option<Instant>,
}

impl BackOff {
    /// The pause before the next restart of a component that ran for `age`.
    fn next(&mut self, age: Duration) -> Duration {
        if age >= WELL_AFTER {
            self.wait = None;
        }
        self.failed()
    }

    /// The pause after a start that failed.
    fn failed(&mut self) -> Duration {
        let wait = match self.wait {
            Some(wait) => (wait * 2).min(BACK_OFF_MAX),
            None => BACK_OFF_MIN,
        };
        self.wait = Some(wait);
        self.due = Some(Instant::now() + wait);
        wait
    }
}

fn restart_when_ended(process: &mut Process, back_off: &mut BackOff, layout: &Layout, progress: &Progress) {
    let Some(status) = process.ended() else {
        return;
    };
    match back_off.due {
        None => {
            let wait = back_off.next(process.age());
            progress.say(&format!(
                "  {} ended ({status}); starting it again in {} s, log: {}{}",
                process.name(),
                wait.as_secs(),
                process.spec().log.display(),
                disk_word(layout)
            ));
        }
        Some(due) if Instant::now() >= due => match process.respawn(layout) {
            Ok(()) => back_off.due = None,
            Err(failure) => {
                let wait = back_off.failed();
                progress.say(&format!(
                    "  {} cannot be started: {failure}; trying again in {} s{}",
                    process.name(),
                    wait.as_secs(),
                    disk_word(layout)
                ));
            }
        },
        Some(_) => {}
    }
}

/// What a full disk has to do with it: nothing, if there is room.
fn disk_word(layout: &Layout) -> String {
    let home = layout.home();
    match file_system(home) {
        Ok(found) if found.free_mebibytes < DISK_LOW_MEBIBYTES => format!(
            "\n  the disk of {} is full ({} MiB are left): nothing can run on it until some is freed",
            home.display(),
            found.free_mebibytes
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::system::scratch::Scratch;

    #[test]
    fn back_off_doubles_to_its_limit_and_starts_over_once_well() {
        let mut back_off = BackOff::default();
        let mut waits_s = Vec::new();
        for _ in 0..7 {
            waits_s.push(back_off.next(Duration::from_secs(3)).as_secs());
        }
        assert_eq!(waits_s, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(back_off.next(WELL_AFTER), BACK_OFF_MIN);
    }

    #[test]
    fn a_start_that_fails_counts_as_an_attempt_however_long_the_component_ran_before() {
        let mut back_off = BackOff::default();
        assert_eq!(back_off.next(WELL_AFTER * 10).as_secs(), 1);
        let waits_s: Vec<u64> = (0..6).map(|_| back_off.failed().as_secs()).collect();
        assert_eq!(waits_s, [2, 4, 8, 16, 30, 30]);
        // It came up, and ended at once: that is the next attempt.
        assert_eq!(back_off.next(Duration::from_secs(1)), BACK_OFF_MAX);
    }

    #[test]
    fn a_component_that_cannot_be_started_is_tried_less_and_less() {
        use crate::process::Spec;
        let scratch = Scratch::new(&Layout::of_checkout()).unwrap();
        let layout = scratch.layout();
        let spec = Spec {
            name: "short".to_owned(),
            program: "/bin/true".into(),
            arguments: Vec::new(),
            inherits: Vec::new(),
            environment: Vec::new(),
            directory: layout.home().to_owned(),
            account: None,
            address: loopback(1),
            probe: crate::process::Probe::Kafka {
                address: loopback(1),
                authority: None,
            },
            ready_limit: Duration::from_secs(1),
            stop_signal: nix::sys::signal::Signal::SIGTERM,
            stop_limit: Duration::from_secs(1),
            orphan_signal: nix::sys::signal::Signal::SIGKILL,
            log: layout.log("short"),
        };
        let mut process = Process::spawn(layout, spec).unwrap();
        let started = Instant::now();
        while process.ended().is_none() {
            assert!(started.elapsed() < WELL_AFTER, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        // Its log has no place any more, as on a disk that is full.
        std::fs::remove_dir_all(layout.logs()).unwrap();
        let mut back_off = BackOff::default();
        let progress = Progress::new(Style::Lines);
        let mut waits_s = Vec::new();
        for _ in 0..4 {
            restart_when_ended(&mut process, &mut back_off, layout, &progress);
            waits_s.push(back_off.wait.map(|wait| wait.as_secs()));
            back_off.due = Some(Instant::now());
        }
        assert_eq!(waits_s, [1, 2, 4, 8].map(Some));
    }
}
