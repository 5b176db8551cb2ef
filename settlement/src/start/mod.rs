//! The process: the account machine, the publisher, the projector and the payments stage, or some of
//! them.

mod options;
mod parts;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use brokerx_topics::codec::Codec;
use brokerx_topics::service::{self, Health, Shutdown, run_process};

use crate::projector::{self, RebuildOptions};
use options::{Command, Options};
use parts::Parts;

/// How long a start waits for the schema registry.
const REGISTRY_LIMIT: Duration = Duration::from_secs(60);

/// The process, until a signal ends it or a part fails for good.
///
/// # Errors
/// When the registry stays away, the address is taken, or a part fails.
pub fn main() -> anyhow::Result<()> {
    run_process("settlement", "127.0.0.1:8091", run)
}

async fn run(options: Options, shutdown: Shutdown) -> anyhow::Result<()> {
    let codec = tokio::select! {
        codec = Codec::of_process(&options.platform, REGISTRY_LIMIT) => codec?,
        () = shutdown.requested() => return Ok(()),
    };
    match &options.command {
        Some(Command::Project(what)) => project(&options, what, codec, shutdown).await,
        None => serve(&options, codec, shutdown).await,
    }
}

/// Prints a line of JSON with what was done.
async fn project(options: &Options, what: &RebuildOptions, codec: Codec, shutdown: Shutdown) -> anyhow::Result<()> {
    let projected = projector::project(&options.platform, &options.projector, what, codec, shutdown).await?;
    println!("{}", serde_json::to_string(&projected)?);
    Ok(())
}

/// Runs the parts until a signal comes or a part fails for good; then all of them are stopped.
async fn serve(options: &Options, codec: Codec, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut metrics = service::metrics();
    let health = Health::default();
    let mut parts = Parts::start(options, &codec, &mut metrics, &health, &shutdown)?;
    let server = tokio::spawn(service::serve(
        options.service.listen,
        Arc::new(metrics),
        health,
        shutdown.clone(),
    ));
    let failed = tokio::select! {
        // First: a part that ends because it was asked to has not failed.
        biased;
        () = shutdown.requested() => Ok(()),
        failed = parts.failed() => Err(failed),
    };
    shutdown.request();
    let stopped = parts.stop().await;
    server.await.context("the HTTP server panicked")??;
    failed.and(stopped)
}
