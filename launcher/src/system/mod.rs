//! A whole BrokerX: the platform, its topics, and the services on top ([`services`]). What keeps
//! it running for a person is the [`supervisor`], for a test a [`scratch`] home.

pub mod environment;
pub mod instances;
pub mod log_filter;
pub mod scratch;
pub mod services;
pub mod settings;
pub mod state;
pub mod supervisor;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use crate::builds::cargo;
use crate::failure::{Failure, Result};
use crate::home::Layout;
use crate::home::logs::tail;
use crate::platform::{Downloads, Options, Platform, Transport, stop_in_reverse};
use crate::ports::{Ports, check_free, loopback};
use crate::process::tool::run_logged;
use crate::process::{Process, inherited};
use crate::progress::Progress;
use crate::requirements::programs::NeededBy;
use crate::requirements::{self, Intent};

use scratch::Scratch;
use services::{OPERATOR_BINARY, SERVICES, ServicePorts, TOOL_BINARIES, TOPICS_BINARY};

const APPLY_LIMIT: Duration = Duration::from_secs(120);
const MIGRATE_LIMIT: Duration = Duration::from_secs(120);
const SEED_LIMIT: Duration = Duration::from_secs(120);

/// A running system. Dropping it kills everything; [`System::stop`] stops it cleanly.
///
/// The fields are dropped in this order: services first, the files last.
pub struct System {
    services: Vec<Process>,
    platform: Platform,
    scratch: Option<Scratch>,
}

impl System {
    /// Starts everything and waits until all is ready.
    ///
    /// # Errors
    /// Any [`Failure`]; nothing is left running then.
    pub fn start(options: Options) -> Result<System> {
        services::check_binaries(&options.layout)?;
        check_free(&options.ports.of_services())?;
        let mut system = System::start_platform(options)?;
        match system.bring_up() {
            Ok(()) => Ok(system),
            Err(failure) => {
                system.stop();
                Err(failure)
            }
        }
    }

    /// Starts Kafka, registry and PostgreSQL only.
    ///
    /// # Errors
    /// As [`Platform::start`].
    pub fn start_platform(options: Options) -> Result<System> {
        Ok(System {
            services: Vec::new(),
            platform: Platform::start(options, grant_rights)?,
            scratch: None,
        })
    }

    /// A system for a test: built, on free ports, in a scratch home that is removed in the end. Its
    /// logs and mails are kept unless [`System::test_passed`] is called: whatever ends a test
    /// early, they are there to be read.
    ///
    /// # Errors
    /// As [`System::start`], and [`Failure::Build`].
    pub fn for_test() -> Result<System> {
        System::for_test_that_is(false)
    }

    /// As [`System::for_test`], encrypted and authenticated.
    ///
    /// # Errors
    /// As [`System::for_test`].
    pub fn secured_for_test() -> Result<System> {
        System::for_test_that_is(true)
    }

    fn for_test_that_is(secured: bool) -> Result<System> {
        let mut scratch = Scratch::new(&Layout::of_checkout())?;
        scratch.set_keep_logs(true);
        let transport = Transport::choose(scratch.layout(), secured)?;
        let options = Options::for_test(scratch.layout().clone(), transport);
        requirements::check(&options.layout, System::intent(&options.layout, true)?)?;
        // Trials run the tools as well.
        let binaries = services::binaries().chain(TOOL_BINARIES);
        cargo::build(&options.layout, binaries, &options.progress)?;
        let mut system = System::start(options)?;
        system.scratch = Some(scratch);
        Ok(system)
    }

    /// What is asked of the machine before a system, or only its platform, is started.
    ///
    /// # Errors
    /// As [`Downloads::missing_parts`].
    pub fn intent(layout: &Layout, with_services: bool) -> Result<Intent> {
        Ok(Intent {
            by: NeededBy::Up,
            builds: with_services && !services::are_built(layout),
            fetches: Downloads::missing_parts(layout)? > 0,
        })
    }

    /// How many steps [`System::start`] shows.
    ///
    /// # Errors
    /// As [`Platform::steps`].
    pub fn steps(layout: &Layout, transport: &Transport) -> Result<usize> {
        const TOPICS_AND_DATABASE: usize = 2;
        let seed = usize::from(!seeded(layout).exists());
        Ok(Platform::steps(layout, transport)? + TOPICS_AND_DATABASE + SERVICES.len() + seed)
    }

    /// The test that this system is for went well: nothing of it is kept.
    pub fn test_passed(&mut self) {
        if let Some(scratch) = &mut self.scratch {
            scratch.set_keep_logs(false);
        }
    }

    /// Topics and tables first, then all services side by side, then what only a first start does.
    fn bring_up(&mut self) -> Result<()> {
        let progress = self.options().progress.clone();
        progress.step("creating topics, schemas and genesis", || {
            // What the shell says, the command takes over by itself.
            let is_told = !self.options().test && std::env::var_os(settings::PARTITIONS).is_some();
            let partitions = self.options().partitions.to_string();
            let arguments = ["apply", "--partitions", &partitions];
            self.run_to_end(
                TOPICS_BINARY,
                if is_told { &arguments[..1] } else { &arguments },
                APPLY_LIMIT,
            )
        })?;
        progress.step("migrating the database", || {
            self.run_as_owner(OPERATOR_BINARY, &["migrate"], MIGRATE_LIMIT)?;
            let key = self.token_key()?;
            self.platform.set_jwt_public_key(key);
            Ok::<(), Failure>(())
        })?;
        for service in &SERVICES {
            let ports = service.ports(&self.options().ports);
            self.spawn(service, 0, ports)?;
        }
        for service in &mut self.services {
            let text = format!("starting {}", service.name());
            progress.step(&text, || service.wait_ready())?;
        }
        let seeded = seeded(self.layout());
        if !seeded.exists() {
            progress.step("listing the instruments", || {
                self.run_to_end(OPERATOR_BINARY, &["seed"], SEED_LIMIT)
            })?;
            fs::write(&seeded, b"").map_err(Failure::io("cannot note the first start"))?;
        }
        Ok(())
    }

    /// What the tokens of clients are checked with.
    fn token_key(&self) -> Result<String> {
        let told = self.output(OPERATOR_BINARY, &["token-key"])?;
        let key = String::from_utf8_lossy(&told.stdout).trim().to_owned();
        if told.status.success() && !key.is_empty() {
            return Ok(key);
        }
        let reason = String::from_utf8_lossy(&told.stderr).trim().to_owned();
        Err(Failure::NotReady {
            name: "operator".to_owned(),
            reason: format!("`{OPERATOR_BINARY} token-key` gave no key ({})", told.status),
            log: self.layout().log("operator"),
            log_tail: format!("    {reason}"),
        })
    }

    fn spawn(&mut self, service: &services::Service, index: u32, ports: ServicePorts) -> Result<()> {
        let spec = instances::spec(service, index, ports, self.options(), self.platform.secrets());
        self.services.push(Process::spawn(self.layout(), spec)?);
        Ok(())
    }

    fn run_to_end(&self, binary: &str, arguments: &[&str], limit: Duration) -> Result<()> {
        self.run_command(self.command(binary, arguments), binary, arguments, limit)
    }

    fn run_as_owner(&self, binary: &str, arguments: &[&str], limit: Duration) -> Result<()> {
        self.run_command(self.command_as_owner(binary, arguments), binary, arguments, limit)
    }

    fn run_command(&self, command: Command, binary: &str, arguments: &[&str], limit: Duration) -> Result<()> {
        to_its_end(command, self.layout(), binary, arguments, limit)
    }

    /// A command of BrokerX with the environment of this system, to be run by the caller.
    pub fn command(&self, binary: &str, arguments: &[&str]) -> Command {
        command(&self.platform, binary, arguments)
    }

    /// As [`System::command`], with the rights of the database's owner: for migrations, and to drop what can
    /// be folded again.
    pub fn command_as_owner(&self, binary: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(binary, arguments);
        command.env(environment::DATABASE_URL, self.platform.database_url());
        command
    }

    /// Runs a [`System::command`] to its end and returns what it printed.
    ///
    /// # Errors
    /// When it cannot be run; its own failure is in the status.
    pub fn output(&self, binary: &str, arguments: &[&str]) -> Result<Output> {
        self.command(binary, arguments)
            .output()
            .map_err(Failure::io(format!("cannot run {binary}")))
    }

    /// Starts one more instance of a service on a free port and waits until it is ready. Returns
    /// its name, e.g. `settlement-1`.
    ///
    /// # Errors
    /// As [`Process::wait_ready`].
    ///
    /// # Panics
    /// When there is no such service.
    pub fn start_instance(&mut self, service: &str, index: u32) -> Result<String> {
        let kind = SERVICES
            .iter()
            .find(|kind| kind.name == service)
            .unwrap_or_else(|| panic!("there is no service {service}"));
        let mut taken: Vec<u16> = self
            .services
            .iter()
            .flat_map(|process| process.spec().ports())
            .collect();
        let main = Ports::one_more(&taken);
        taken.push(main);
        let admin = kind.admin_port.map(|_| Ports::one_more(&taken));
        self.spawn(kind, index, ServicePorts { main, admin })?;
        let name = instances::instance_name(service, index);
        self.process(&name).wait_ready()?;
        Ok(name)
    }

    /// A component by name: a service, an instance, or `kafka`, `postgres`, `registry`. On it:
    /// `kill` (SIGKILL), `pause` (SIGSTOP), `resume` (SIGCONT), `stop`, `wait_ready`.
    ///
    /// # Panics
    /// When there is no such component.
    pub fn process(&mut self, name: &str) -> &mut Process {
        self.processes_mut()
            .find(|process| process.name() == name)
            .unwrap_or_else(|| panic!("there is no component {name}"))
    }

    /// Every component, the platform's first, in the order of their start.
    pub fn processes_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.platform.processes_mut().iter_mut().chain(self.services.iter_mut())
    }

    /// Starts a component again, killing what still runs of it, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Process::wait_ready`].
    ///
    /// # Panics
    /// When there is no such component.
    pub fn restart(&mut self, name: &str) -> Result<()> {
        self.respawn(name)?;
        self.process(name).wait_ready()
    }

    /// Starts a component again without waiting for it.
    ///
    /// # Errors
    /// As [`Process::spawn`].
    ///
    /// # Panics
    /// When there is no such component.
    pub fn respawn(&mut self, name: &str) -> Result<()> {
        let layout = self.layout().clone();
        self.process(name).respawn(&layout)
    }

    /// The last lines of a component's log, for the message of a failed test.
    pub fn log_tail(&self, name: &str, lines: usize) -> String {
        tail(&self.layout().log(name), 0, lines)
    }

    /// Kafka, registry and PostgreSQL.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// How it was started.
    pub fn options(&self) -> &Options {
        self.platform.options()
    }

    /// Where its files are.
    pub fn layout(&self) -> &Layout {
        &self.options().layout
    }

    /// The base URL of the HTTP API.
    pub fn public_url(&self) -> String {
        services::public_url(&self.options().ports)
    }

    /// The URL of the WebSocket feed.
    pub fn feed_url(&self) -> String {
        services::feed_url(&self.options().ports)
    }

    /// The base URL of a service's metrics and health, e.g. of `settlement-1`.
    ///
    /// # Panics
    /// When there is no such component.
    pub fn metrics_url(&mut self, name: &str) -> String {
        let port = self.process(name).spec().address.port();
        format!("http://{}", loopback(port))
    }

    /// Where mails are written.
    pub fn mail_directory(&self) -> PathBuf {
        self.layout().mail()
    }

    /// Changes how progress is shown from now on.
    pub fn set_progress(&mut self, progress: Progress) {
        self.platform.set_progress(progress);
    }

    /// Stops all cleanly, in the reverse order of their start.
    pub fn stop(&mut self) {
        let progress = self.options().progress.clone();
        stop_in_reverse(&mut self.services, &progress);
        self.platform.stop();
    }
}

fn command(platform: &Platform, binary: &str, arguments: &[&str]) -> Command {
    let options = platform.options();
    let told = environment::environment(environment::Facts {
        layout: &options.layout,
        ports: &options.ports,
        secrets: platform.secrets(),
        transport: &options.transport,
        program: binary,
    });
    let mut command = Command::new(options.layout.binary(binary));
    inherited::leave_only(&mut command, &settings::settings(binary));
    command.args(arguments).envs(told).current_dir(options.layout.root());
    command
}

fn to_its_end(command: Command, layout: &Layout, binary: &str, arguments: &[&str], limit: Duration) -> Result<()> {
    let name = binary.trim_start_matches("brokerx-");
    let log = layout.log(name);
    run_logged(command, &log, limit, |reason| Failure::NotReady {
        name: name.to_owned(),
        reason: format!("`{binary} {}` failed", arguments.join(" ")),
        log: log.clone(),
        log_tail: reason,
    })
}

/// Gives everybody the rights of the topic catalogue. Nobody but this command is the user who may.
fn grant_rights(platform: &Platform) -> Result<()> {
    const ARGUMENTS: [&str; 2] = ["acls", "--apply"];
    const ADMIN: &str = "admin";
    let layout = &platform.options().layout;
    if !layout.binary(TOPICS_BINARY).is_file() {
        return Err(Failure::Build(format!(
            "{TOPICS_BINARY}, which grants rights in Kafka, is missing; build it with: ./brokerx up"
        )));
    }
    let mut command = command(platform, TOPICS_BINARY, &ARGUMENTS);
    command.env(environment::KAFKA_USER, ADMIN);
    command.env(environment::KAFKA_PASSWORD, platform.secrets().kafka_password(ADMIN));
    to_its_end(command, layout, TOPICS_BINARY, &ARGUMENTS, APPLY_LIMIT)
}

/// The mark of a system whose first start is complete.
fn seeded(layout: &Layout) -> PathBuf {
    layout.data().join("seeded")
}
