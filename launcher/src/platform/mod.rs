//! Kafka, schema registry and PostgreSQL: fetched ([`downloads`]), prepared and run. How they are
//! configured is in `compose/` ([`compose`]).

pub mod compose;
pub mod downloads;
pub mod kafka;
pub mod options;
pub mod postgres;
pub mod registry;
pub mod security;
mod versions;

use crate::failure::{Failure, Result};
use crate::home::{Layout, Secrets};
use crate::ports::{check_free, loopback};
use crate::process::{Process, Spec};
use crate::progress::Progress;

pub use downloads::Downloads;
pub use options::Options;
pub use postgres::Role;
pub use security::Transport;

/// A running platform. Dropping it kills it; [`Platform::stop`] stops it cleanly.
pub struct Platform {
    options: Options,
    secrets: Secrets,
    /// In the order of their start.
    processes: Vec<Process>,
}

impl Platform {
    /// Fetches what is missing, prepares the data and starts all three. Whether the machine can run
    /// them has been checked before ([`crate::requirements::check`]).
    ///
    /// # Errors
    /// Any [`Failure`]; nothing is left running then.
    ///
    /// `grant_rights` is run in a secured system once Kafka is there, before anybody else uses it.
    pub fn start(options: Options, grant_rights: impl FnOnce(&Platform) -> Result<()>) -> Result<Platform> {
        let layout = &options.layout;
        layout.create()?;
        let downloads = Downloads::ensure(layout, &options.progress)?;
        check_free(&options.ports.of_platform())?;
        options.transport.prepare(layout)?;
        let secrets = Secrets::load_or_create(layout)?;
        let (kafka, postgres) = prepare(&options, &downloads, &secrets)?;
        let registry = registry::prepare(layout, &options, &downloads, &secrets)?;
        let mut platform = Platform {
            options,
            secrets,
            processes: Vec::new(),
        };
        match platform.bring_up(kafka, postgres, registry, grant_rights) {
            Ok(()) => Ok(platform),
            Err(failure) => {
                platform.stop();
                Err(failure)
            }
        }
    }

    /// How many steps [`Platform::start`] shows.
    ///
    /// # Errors
    /// As [`Downloads::missing_parts`].
    pub fn steps(layout: &Layout, transport: &Transport) -> Result<usize> {
        const PREPARE_AND_THREE_STARTS: usize = 4;
        let rights = usize::from(*transport != Transport::Clear);
        Ok(Downloads::missing_parts(layout)? + PREPARE_AND_THREE_STARTS + rights)
    }

    /// Kafka and PostgreSQL start side by side; the registry needs Kafka.
    fn bring_up(
        &mut self,
        kafka: Spec,
        postgres: Spec,
        registry: Spec,
        grant_rights: impl FnOnce(&Platform) -> Result<()>,
    ) -> Result<()> {
        let progress = self.options.progress.clone();
        self.spawn(kafka)?;
        self.spawn(postgres)?;
        progress.step("starting kafka", || self.processes[0].wait_ready())?;
        if self.options.transport != Transport::Clear {
            progress.step("granting rights in kafka", || grant_rights(self))?;
        }
        self.spawn(registry)?;
        progress.step("starting postgres", || self.processes[1].wait_ready())?;
        progress.step("starting registry", || self.processes[2].wait_ready())
    }

    fn spawn(&mut self, spec: Spec) -> Result<()> {
        self.processes.push(Process::spawn(&self.options.layout, spec)?);
        Ok(())
    }

    /// How it was started.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Keys and passwords.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Kafka's bootstrap address.
    pub fn kafka_brokers(&self) -> String {
        loopback(self.options.ports.kafka).to_string()
    }

    /// The registry's Confluent-compatible API.
    pub fn registry_url(&self) -> String {
        registry::url(&self.options.ports, &self.options.transport)
    }

    /// The connection URL of the database as its owner.
    pub fn database_url(&self) -> String {
        self.database_url_of(Role::Owner)
    }

    /// The connection URL of the database as a role.
    pub fn database_url_of(&self, role: Role) -> String {
        role.url(&self.options.ports, &self.secrets, &self.options.transport)
    }

    /// From now on processes are told that tokens are checked with this key.
    pub(crate) fn set_jwt_public_key(&mut self, key: String) {
        self.secrets.jwt_public_key = key;
    }

    /// Kafka, PostgreSQL and the registry, in the order of their start.
    pub fn processes_mut(&mut self) -> &mut [Process] {
        &mut self.processes
    }

    /// Changes how progress is shown from now on.
    pub fn set_progress(&mut self, progress: Progress) {
        self.options.progress = progress;
    }

    /// Stops all cleanly, the latest first.
    pub fn stop(&mut self) {
        stop_in_reverse(&mut self.processes, &self.options.progress);
    }
}

/// Stops processes cleanly, the latest first.
pub(crate) fn stop_in_reverse(processes: &mut Vec<Process>, progress: &Progress) {
    let progress = progress.unplanned();
    while let Some(mut process) = processes.pop() {
        let text = format!("stopping {}", process.name());
        let _ = progress.step(&text, || {
            process.stop();
            Ok::<(), Failure>(())
        });
    }
}

/// Side by side: at a first start each takes seconds, and neither needs the other.
fn prepare(options: &Options, downloads: &Downloads, secrets: &Secrets) -> Result<(Spec, Spec)> {
    options.progress.step("preparing kafka and postgres", || {
        std::thread::scope(|scope| {
            let layout = &options.layout;
            let postgres = scope.spawn(|| postgres::prepare(layout, options, downloads, secrets));
            let kafka = kafka::prepare(layout, options, downloads, secrets);
            let postgres = postgres.join().unwrap_or_else(|panic| {
                std::panic::resume_unwind(panic);
            });
            Ok((kafka?, postgres?))
        })
    })
}
