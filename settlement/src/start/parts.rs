//! The parts of the process: started together, stopped together.

use crate::account::AccountMachine;
use crate::payments::Payments;
use crate::projector::Projector;
use crate::publisher::Publisher;
use anyhow::Context;
use brokerx_topics::codec::Codec;
use brokerx_topics::runner::{self, RunnerHandle, RunnerOptions};
use brokerx_topics::service::{Health, Metrics, Shutdown};
use tokio::task::JoinHandle;

use super::options::{Options, Part};

/// The public topics are for other teams: no client of ours waits for them.
const PUBLISHER_GATHER_MS: u64 = 50;

/// The parts that run.
pub struct Parts {
    account: Option<RunnerHandle>,
    publisher: Option<RunnerHandle>,
    projector: Option<JoinHandle<()>>,
    payments: Option<JoinHandle<()>>,
}

impl Parts {
    /// Starts the parts that the options name. Nothing here waits for PostgreSQL or the provider.
    pub fn start(
        options: &Options,
        codec: &Codec,
        metrics: &mut Metrics,
        health: &Health,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let runs = |part| options.only.contains(&part);
        let (service, platform, runner) = (&options.service, &options.platform, &options.runner);
        let mut parts = Self {
            account: None,
            publisher: None,
            projector: None,
            payments: None,
        };
        if runs(Part::Account) {
            let started = runner::start::<AccountMachine>(service, platform, runner, codec.clone(), metrics, health);
            parts.account = Some(started.context("the account machine cannot be started")?);
        }
        if runs(Part::Publisher) {
            let runner = &RunnerOptions {
                gather_ms: runner.gather_ms.max(PUBLISHER_GATHER_MS),
                ..runner.clone()
            };
            let started = runner::start::<Publisher>(service, platform, runner, codec.clone(), metrics, health);
            parts.publisher = Some(started.context("the publisher cannot be started")?);
        }
        if runs(Part::Projector) {
            let projector = Projector::new(platform, &options.projector, codec.clone(), metrics, health);
            parts.projector = Some(tokio::spawn(projector.run(shutdown.clone())));
        }
        if runs(Part::Payments) {
            let payments = Payments::new(platform, service, &options.payments, codec.clone(), metrics, health)
                .context("the payments stage cannot be started")?;
            parts.payments = Some(tokio::spawn(payments.run(shutdown.clone())));
        }
        Ok(parts)
    }

    /// Waits until a part ends that was not asked to, and returns why.
    pub async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            error = runner_failed(&mut self.account) => error.context("the account machine ended"),
            error = runner_failed(&mut self.publisher) => error.context("the publisher ended"),
            error = task_failed(&mut self.projector) => error.context("the projector ended"),
            error = task_failed(&mut self.payments) => error.context("the payments stage ended"),
        }
    }

    /// Stops all parts at the same time, once their outputs are acknowledged and their offsets
    /// committed. The shutdown must have been requested. Returns the first error.
    pub async fn stop(self) -> anyhow::Result<()> {
        let (account, publisher, projector, payments) = tokio::join!(
            stop_runner(self.account),
            stop_runner(self.publisher),
            stop_task(self.projector),
            stop_task(self.payments),
        );
        account.context("the account machine did not stop well")?;
        publisher.context("the publisher did not stop well")?;
        projector.context("the projector did not stop well")?;
        payments.context("the payments stage did not stop well")
    }
}

async fn runner_failed(handle: &mut Option<RunnerHandle>) -> anyhow::Error {
    let Some(running) = handle else {
        return std::future::pending().await;
    };
    let outcome = running.stopped().await;
    *handle = None;
    match outcome {
        Ok(()) => anyhow::anyhow!("nobody asked it to"),
        Err(error) => error.into(),
    }
}

async fn task_failed(task: &mut Option<JoinHandle<()>>) -> anyhow::Error {
    let Some(running) = task else {
        return std::future::pending().await;
    };
    let outcome = running.await;
    *task = None;
    match outcome {
        Ok(()) => anyhow::anyhow!("nobody asked it to"),
        Err(error) => error.into(),
    }
}

async fn stop_runner(handle: Option<RunnerHandle>) -> anyhow::Result<()> {
    match handle {
        Some(running) => Ok(running.stop().await?),
        None => Ok(()),
    }
}

async fn stop_task(task: Option<JoinHandle<()>>) -> anyhow::Result<()> {
    match task {
        Some(running) => Ok(running.await?),
        None => Ok(()),
    }
}
