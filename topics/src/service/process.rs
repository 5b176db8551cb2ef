//! A process from its start to its end.

use std::future::Future;

use anyhow::Context;
use clap::Parser;

use super::{ServiceOptions, Shutdown, parse_options, setback, telemetry};

/// Parses the options, starts the logs, and runs `run` until it ends; a signal requests the shutdown. A clock that
/// is set back ends the process with code 75.
///
/// A worker calls this in its library, and its `main` only calls that: an `async fn` is compiled where
/// it is first waited for, so whatever a `main` waits for would be compiled there again, everything
/// generic below it included.
///
/// # Errors
/// When the system gives no threads; else those of `run`.
///
/// # Panics
/// When logs were started before.
pub fn run_process<P, F>(
    service: &str,
    listen_default: &'static str,
    run: impl FnOnce(P, Shutdown) -> F,
) -> anyhow::Result<()>
where
    P: Parser + AsRef<ServiceOptions>,
    F: Future<Output = anyhow::Result<()>>,
{
    let options: P = parse_options(listen_default);
    telemetry::init(service, options.as_ref());
    setback::watch().context("there is no thread to watch the clock")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async { run(options, Shutdown::on_signals()).await })
}
