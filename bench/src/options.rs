//! The command line.

use std::path::PathBuf;

use brokerx_topics::service::PlatformOptions;
use clap::Parser;

/// What is measured, and where.
#[derive(Parser)]
pub struct Options {
    #[command(flatten)]
    pub platform: PlatformOptions,
    /// The ingress.
    #[arg(long, env = "BROKERX_INGRESS_URL", default_value = "http://127.0.0.1:8080")]
    pub ingress_url: String,
    /// The notifier's WebSocket.
    #[arg(long, env = "BROKERX_FEED_URL", default_value = "ws://127.0.0.1:8090/ws")]
    pub stream_url: String,
    /// The home of the system, where its processes are noted.
    #[arg(long, env = "BROKERX_HOME", default_value = ".brokerx")]
    pub home: PathBuf,
    /// Where mails are written as files.
    #[arg(long, env = "BROKERX_MAIL_DIR", default_value = ".brokerx/mail")]
    pub mail_dir: PathBuf,
    /// The database of the projection.
    #[arg(long, env = "BROKERX_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// The API key of an operator.
    #[arg(long, env = "BROKERX_OPERATOR_KEY")]
    pub operator_key: String,
    /// Orders (and records) a second while latency is measured.
    #[arg(long, default_value_t = 2_000)]
    pub rate: u32,
    /// Seconds of each measurement of latency.
    #[arg(long, default_value_t = 15)]
    pub seconds: u32,
    /// Rounds; ceiling and pipeline take turns.
    #[arg(long, default_value_t = 2)]
    pub rounds: u32,
    /// Orders that are drained as fast as they go.
    #[arg(long, default_value_t = 60_000)]
    pub drained_orders: u32,
    /// Records that are drained through the ceiling.
    #[arg(long, default_value_t = 300_000)]
    pub drained_records: u32,
    /// Accounts over which the orders are spread.
    #[arg(long, default_value_t = 400)]
    pub accounts: u32,
    /// Orders a second over HTTP, one measurement for each rate.
    #[arg(long, value_delimiter = ',', default_values_t = [300, 600, 1_200], value_parser = clap::value_parser!(u32).range(1..))]
    pub http_rate: Vec<u32>,
    /// Clients of the HTTP part.
    #[arg(long, default_value_t = 24)]
    pub http_clients: u32,
    /// A file to which each round is appended, a line of JSON.
    #[arg(long)]
    pub append_to: Option<PathBuf>,
    /// What the system that is measured is called there.
    #[arg(long, default_value = "this build")]
    pub build: String,
}
