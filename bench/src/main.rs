//! `./brokerx bench`: the pipeline beside what Kafka itself can do, in one run on the running system.
//!
//! - **ceiling**: records of the size of an order through three consume-produce hops that do nothing;
//! - **pipeline**: orders from `account-commands` to `replies`, through settlement, the matcher and
//!   settlement again;
//! - **HTTP**: orders over HTTP to their outcome, by an open-loop generator.
//!
//! Latencies are measured from the moment at which a record or request was due, so that a stall
//! counts for everything that it delays. Load and system share the machine: compare the ratios.
//! The seconds in which connections are made, and a first round, are thrown away.

mod ceiling;
mod http;
mod kafka;
mod pace;
mod pipeline;
mod report;

use std::path::PathBuf;

use brokerx_client::{Api, wait_until_quiet};
use brokerx_topics::codec::Codec;
use brokerx_topics::service::PlatformOptions;
use clap::Parser;
use sqlx::postgres::PgPoolOptions;

/// What is measured, and where.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    platform: PlatformOptions,
    /// The ingress.
    #[arg(long, env = "BROKERX_INGRESS_URL", default_value = "http://127.0.0.1:8080")]
    ingress_url: String,
    /// The notifier's WebSocket.
    #[arg(long, env = "BROKERX_FEED_URL", default_value = "ws://127.0.0.1:8090/ws")]
    stream_url: String,
    /// Where mails are written as files.
    #[arg(long, env = "BROKERX_MAIL_DIR", default_value = ".brokerx/mail")]
    mail_dir: PathBuf,
    /// The database of the projection.
    #[arg(long, env = "BROKERX_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// The API key of an operator.
    #[arg(long, env = "BROKERX_OPERATOR_KEY")]
    operator_key: String,
    /// Orders (and records) a second while latency is measured.
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// Seconds of each measurement of latency.
    #[arg(long, default_value_t = 15)]
    seconds: u32,
    /// Rounds; ceiling and pipeline take turns.
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// Orders that are drained as fast as they go.
    #[arg(long, default_value_t = 60_000)]
    drained_orders: u32,
    /// Records that are drained through the ceiling.
    #[arg(long, default_value_t = 300_000)]
    drained_records: u32,
    /// Accounts over which the orders are spread.
    #[arg(long, default_value_t = 400)]
    accounts: u32,
    /// Orders a second over HTTP.
    #[arg(long, default_value_t = 1_200)]
    http_rate: u32,
    /// Clients of the HTTP part.
    #[arg(long, default_value_t = 24)]
    http_clients: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let codec = Codec::connect(
        &options.platform.schema_registry_url,
        std::time::Duration::from_secs(10),
    )
    .await?;
    let api = Api::new(&options.ingress_url, &options.stream_url)?;
    println!(
        "preparing {} accounts and {} HTTP clients",
        options.accounts, options.http_clients
    );
    let mut pipeline = pipeline::Pipeline::prepare(&options, &api, &codec).await?;
    let record_bytes = pipeline.order_bytes();
    let ceiling = ceiling::Ceiling::prepare(&options.platform, record_bytes).await?;
    println!("an order is a record of {record_bytes} bytes");

    let clients = http::Clients::prepare(&options, &api).await?;
    let database = PgPoolOptions::new().connect(&options.database_url).await?;
    // Each measurement begins only when the projection has caught up with the one before it.
    let quiet = || wait_until_quiet(&options.platform, &database);

    let mut rounds = report::Rounds::default();
    // Round 0 is thrown away: it lets Kafka's just-in-time compiler see the load.
    for round in 0..=options.rounds {
        match round {
            0 => println!("warming up"),
            _ => println!("round {round} of {}", options.rounds),
        }
        quiet().await?;
        let of_ceiling = ceiling.latency(options.rate, options.seconds).await?;
        quiet().await?;
        let of_pipeline = pipeline.latency(options.rate, options.seconds).await?;
        quiet().await?;
        let of_http = http::measure(&options, &clients, round).await?;
        quiet().await?;
        let ceiling_drained = ceiling.drain(options.drained_records).await?;
        quiet().await?;
        let pipeline_drained = pipeline.drain(options.drained_orders).await?;
        if round > 0 {
            rounds.ceiling.push(of_ceiling);
            rounds.pipeline.push(of_pipeline);
            rounds.http.push(of_http);
            rounds.ceiling_drained.push(ceiling_drained);
            rounds.pipeline_drained.push(pipeline_drained);
        }
    }
    ceiling.remove().await?;
    rounds.print(options.rate, options.http_rate);
    Ok(())
}
