//! The simulated payment provider, see `brokerx_settlement::provider`.

use std::future::IntoFuture;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use brokerx_settlement::provider::{http, store::Store};
use brokerx_topics::service::{self, Health, ServiceOptions, Shutdown, parse_options, telemetry};

/// How long open requests may take once the process stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

#[derive(clap::Parser)]
#[command(
    name = "brokerx-provider",
    version,
    about = "A simulated payment provider; amounts choose their outcome by their cents: 13 is refused, 17 breaks once, 19 stays pending for two answers"
)]
struct Options {
    #[command(flatten)]
    service: ServiceOptions,
    /// Folder of its file
    #[arg(long, env = "BROKERX_PROVIDER_DIR", default_value = ".brokerx/provider")]
    provider_dir: PathBuf,
    /// How long every answer takes, milliseconds
    #[arg(long, env = "BROKERX_PROVIDER_LATENCY_MS", default_value_t = 20)]
    latency_ms: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options: Options = parse_options("127.0.0.1:8093");
    telemetry::init("provider", &options.service);
    let shutdown = Shutdown::on_signals();
    let health = Health::default();
    let file = health.add("file");
    let store = Store::open(&options.provider_dir)
        .with_context(|| format!("cannot use the folder {}", options.provider_dir.display()))?;
    file.set(true, "open");
    let routes = http::routes(store, Duration::from_millis(options.latency_ms))
        .merge(service::http_routes(Arc::new(service::metrics()), health));
    let listen = options.service.listen;
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "the simulated payment provider is ready");
    let stopping = shutdown.clone();
    let server = axum::serve(listener, routes).with_graceful_shutdown(async move { stopping.requested().await });
    tokio::select! {
        served = server.into_future() => served.context("the HTTP server failed"),
        () = async {
            shutdown.requested().await;
            tokio::time::sleep(DRAIN_LIMIT).await;
        } => Ok(()),
    }
}
