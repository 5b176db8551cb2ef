//! The process of the simulated provider.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use brokerx_topics::service::{
    self, Health, Limits, Password, Server, ServerCertificate, ServerMetrics, ServiceOptions, Shutdown, run_process,
};

use super::http;
use super::store::Store;

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
    /// The token that clients must present (HTTP Bearer); without it everybody is answered
    #[arg(
        long,
        env = "BROKERX_PROVIDER_TOKEN",
        hide_env_values = true,
        conflicts_with = "provider_token_file"
    )]
    provider_token: Option<Password>,
    /// A file with the token in the first line
    #[arg(long, env = "BROKERX_PROVIDER_TOKEN_FILE", value_parser = Password::in_file)]
    provider_token_file: Option<Password>,
    /// Its certificate, PEM: it then answers over https only
    #[arg(long, env = "BROKERX_PROVIDER_CERTIFICATE_FILE", requires = "key_file")]
    certificate_file: Option<PathBuf>,
    /// The key of its certificate, PEM (PKCS #8)
    #[arg(long, env = "BROKERX_PROVIDER_KEY_FILE", requires = "certificate_file")]
    key_file: Option<PathBuf>,
}

impl AsRef<ServiceOptions> for Options {
    fn as_ref(&self) -> &ServiceOptions {
        &self.service
    }
}

/// The process, until a signal ends it.
///
/// # Errors
/// When its folder cannot be used or the address is taken.
pub fn main() -> anyhow::Result<()> {
    run_process("provider", "127.0.0.1:8093", run)
}

async fn run(options: Options, shutdown: Shutdown) -> anyhow::Result<()> {
    let health = Health::default();
    let file = health.add("file");
    let store = Store::open(&options.provider_dir)
        .with_context(|| format!("cannot use the folder {}", options.provider_dir.display()))?;
    file.set(true, "open");
    let token = options.provider_token.or(options.provider_token_file);
    let routes = http::routes(store, Duration::from_millis(options.latency_ms), token)
        .merge(service::http_routes(Arc::new(service::metrics()), health));
    let server = Server {
        listen: options.service.listen,
        router: routes,
        drain_limit: DRAIN_LIMIT,
        limits: Limits::for_operation(),
        metrics: ServerMetrics::default(),
    };
    let files = options.certificate_file.as_deref().zip(options.key_file.as_deref());
    let certificate = files.map(|(certificate, key)| ServerCertificate::read(certificate, key));
    server.serve_with(certificate.transpose()?, shutdown).await
}
