//! `./brokerx bench`: the pipeline beside what Kafka itself can do, in one run on the running system.
//!
//! - **ceiling**: records of the size of an order through three consume-produce hops that do nothing;
//! - **pipeline**: orders from `account-commands` to `replies`, through settlement, the matcher and
//!   settlement again;
//! - **HTTP**: orders over HTTP to their outcome, by an open-loop generator, and what each of them costs in the
//!   processes of the system.
//!
//! Latencies are measured from the moment at which a record or request was due, so that a stall
//! counts for everything that it delays. Load and system share the machine: compare the ratios.
//! The seconds in which connections are made, and a first round, are thrown away.

mod ceiling;
mod cost;
mod http;
mod kafka;
mod options;
mod pace;
mod pipeline;
mod rounds;

use std::fs::OpenOptions;
use std::io::Write;

use brokerx_client::{Api, wait_until_quiet};
use brokerx_topics::codec::Codec;
use clap::Parser;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use options::Options;

/// What the system has used until now, the database's bytes included.
async fn look(meter: &cost::Meter, database: &PgPool) -> anyhow::Result<cost::Used> {
    let bytes: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())")
        .fetch_one(database)
        .await?;
    meter.read(u64::try_from(bytes)?)
}

/// Appends the last round to the file that was asked for.
fn keep(options: &Options, rounds: &rounds::Rounds) -> anyhow::Result<()> {
    if let (Some(path), Some(round)) = (&options.append_to, rounds.last(&options.build, options.rate)) {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        writeln!(file, "{}", serde_json::to_string(&round)?)?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let codec = Codec::connect(&options.platform, std::time::Duration::from_secs(10)).await?;
    let api = Api::new(&options.ingress_url, &options.stream_url)?;
    println!(
        "preparing {} accounts and {} HTTP clients",
        options.accounts, options.http_clients
    );
    let mut pipeline = pipeline::Pipeline::prepare(&options, &api, &codec).await?;
    let record_bytes = pipeline.order_bytes();
    let ceiling = ceiling::Ceiling::prepare(&options.platform, record_bytes).await?;
    println!("an order is a record of {record_bytes} bytes");

    let meter = cost::Meter::new(&options.home)?;
    let clients = http::Clients::prepare(&options, &api).await?;
    let database = PgPoolOptions::new().connect(&options.database_url).await?;
    // Each measurement begins only when the projection has caught up with the one before it.
    let quiet = || wait_until_quiet(&options.platform, &database);

    let mut rounds = rounds::Rounds::default();
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
        let mut of_http = Vec::new();
        for rate in &options.http_rate {
            let before = look(&meter, &database).await?;
            let latencies = http::measure(&options, &clients, (round, *rate)).await?;
            quiet().await?;
            let after = look(&meter, &database).await?;
            let orders = pace::Pace::new(*rate, options.seconds).count();
            of_http.push((*rate, latencies, cost::Cost::of(orders, &before, &after)));
        }
        let ceiling_drained = ceiling.drain(options.drained_records).await?;
        quiet().await?;
        let pipeline_drained = pipeline.drain(options.drained_orders).await?;
        if round > 0 {
            rounds.ceiling.push(of_ceiling);
            rounds.pipeline.push(of_pipeline);
            rounds.http.push(of_http);
            rounds.ceiling_drained.push(ceiling_drained);
            rounds.pipeline_drained.push(pipeline_drained);
            keep(&options, &rounds)?;
        }
    }
    ceiling.remove().await?;
    rounds.print(options.rate);
    Ok(())
}
