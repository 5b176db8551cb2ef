//! The process: drives [`Matcher`] over `book-commands` until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use brokerx_topics::codec::Codec;
use brokerx_topics::runner::{self, RunnerOptions};
use brokerx_topics::service::{self, Health, PlatformOptions, ServiceOptions, Shutdown, run_process};
use clap::Parser;

use crate::machine::Matcher;

/// How long a start waits for the schema registry.
const REGISTRY_LIMIT: Duration = Duration::from_secs(60);

/// Matches orders: price, then time
#[derive(Parser)]
#[command(name = "brokerx-matcher", version)]
struct Options {
    #[command(flatten)]
    service: ServiceOptions,
    #[command(flatten)]
    platform: PlatformOptions,
    #[command(flatten)]
    runner: RunnerOptions,
}

impl AsRef<ServiceOptions> for Options {
    fn as_ref(&self) -> &ServiceOptions {
        &self.service
    }
}

/// The process, until a signal ends it or the runner fails for good.
///
/// # Errors
/// When the registry stays away, the address is taken, or the runner fails.
pub fn main() -> anyhow::Result<()> {
    run_process("matcher", "127.0.0.1:8092", run)
}

async fn run(options: Options, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut metrics = service::metrics();
    let health = Health::default();
    let codec = tokio::select! {
        codec = Codec::of_process(&options.platform, REGISTRY_LIMIT) => {
            codec.context("the schemas cannot be looked up; was `brokerx-topics apply` run?")?
        }
        () = shutdown.requested() => return Ok(()),
    };
    let mut runner = runner::start::<Matcher>(
        &options.service,
        &options.platform,
        &options.runner,
        codec,
        &mut metrics,
        &health,
    )?;
    let server = service::serve(options.service.listen, Arc::new(metrics), health, shutdown.clone());
    tokio::pin!(server);
    tokio::select! {
        served = &mut server => served?,
        stopped = runner.stopped() => {
            stopped?;
            anyhow::bail!("the runner ended without being asked to");
        }
    }
    // The server ends when a stop is requested: what is left is to drain and commit.
    runner.stop().await?;
    Ok(())
}
