//! A consumer of another team, in another language, with the registry's own client.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use brokerx_client::wait_until_quiet;
use brokerx_e2e::fixture::Fixture;
use brokerx_launcher::builds::python;
use brokerx_topics::service::kafka;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::Deserialize;
use sqlx::Row;

#[derive(Deserialize)]
struct Report {
    trades: BTreeMap<String, (String, i64, i64)>,
    trade_records: usize,
    orders: BTreeMap<String, (String, i64, i64)>,
}

pub async fn a_python_consumer_agrees_with_the_database(fixture: &Fixture) -> anyhow::Result<()> {
    let layout = fixture.system().layout().clone();
    let interpreter = python::venv(&layout)?;
    wait_until_quiet(&fixture.platform, &fixture.database).await?;
    let mut command = Command::new(interpreter);
    command
        .arg(layout.root().join("tests/e2e/python/consumer.py"))
        .args([&fixture.platform.kafka_brokers, &fixture.platform.schema_registry_url]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Report = serde_json::from_slice(&output.stdout)?;
    ensure!(
        !report.trades.is_empty() && !report.orders.is_empty(),
        "nothing was read"
    );
    ensure!(report.trade_records == report.trades.len(), "a trade was read twice");

    let mut trades = BTreeMap::new();
    for row in sqlx::query("SELECT trade_id, symbol, price_cents, quantity FROM projection.trades")
        .fetch_all(&fixture.database)
        .await?
    {
        let value = (
            row.try_get("symbol")?,
            row.try_get("price_cents")?,
            row.try_get("quantity")?,
        );
        trades.insert(row.try_get::<i64, _>("trade_id")?.to_string(), value);
    }
    ensure!(report.trades == trades, "the trades differ");
    let mut orders = BTreeMap::new();
    for row in sqlx::query("SELECT order_id, status, filled_quantity, fees_cents FROM projection.orders")
        .fetch_all(&fixture.database)
        .await?
    {
        let value = (
            row.try_get("status")?,
            row.try_get("filled_quantity")?,
            row.try_get("fees_cents")?,
        );
        orders.insert(row.try_get::<i64, _>("order_id")?.to_string(), value);
    }
    ensure!(report.orders == orders, "the orders differ");
    Ok(())
}

#[derive(Deserialize)]
struct Restarts {
    records: usize,
    at_once: BTreeMap<String, Vec<u64>>,
    /// What was counted otherwise after a restart.
    differ: Vec<BTreeMap<String, Vec<u64>>>,
}

/// What two sources wrote to two partitions: runs that were written again, and holes that were filled.
const RUN: [(i32, &str, &[u64]); 6] = [
    (0, "a", &[1, 2, 3, 2, 3, 4]),
    (0, "b", &[1]),
    (0, "a", &[6, 7, 5, 6]),
    (0, "b", &[3, 2, 3]),
    (0, "a", &[6, 7, 8]),
    (1, "a", &[1, 1, 3, 2, 3]),
];

pub async fn a_reader_may_restart_at_every_offset(fixture: &Fixture) -> anyhow::Result<()> {
    let layout = fixture.system().layout().clone();
    let interpreter = python::venv(&layout)?;
    // A topic of its own: what the workers write to theirs is audited.
    let topic = fixture.unique("another-team-");
    let admin: AdminClient<DefaultClientContext> = kafka::client_config(&fixture.platform).create()?;
    let new = NewTopic::new(&topic, 2, TopicReplication::Fixed(1));
    for made in admin.create_topics(&[new], &AdminOptions::new()).await? {
        ensure!(made.is_ok(), "{made:?}");
    }
    let producer: FutureProducer = kafka::producer_config(&fixture.platform).create()?;
    for (partition, source, numbers) in RUN {
        for number in numbers {
            let text = number.to_string();
            let header = |key, value| Header { key, value };
            let headers = OwnedHeaders::new()
                .insert(header("src", Some(source)))
                .insert(header("seq", Some(text.as_str())));
            let record = FutureRecord::<str, str>::to(&topic)
                .partition(partition)
                .payload(&text)
                .headers(headers);
            let sent = producer.send(record, Duration::from_secs(10)).await;
            ensure!(sent.is_ok(), "{sent:?}");
        }
    }
    let mut command = Command::new(interpreter);
    command
        .arg(layout.root().join("tests/e2e/python/restarts.py"))
        .args([&fixture.platform.kafka_brokers, &topic]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let restarts: Restarts = serde_json::from_slice(&output.stdout)?;
    let written: usize = RUN.iter().map(|(_, _, numbers)| numbers.len()).sum();
    ensure!(
        restarts.records == written,
        "{} of {written} were read",
        restarts.records
    );
    let expected = [("0 a", 8), ("0 b", 3), ("1 a", 3)];
    let expected = expected.map(|(edge, last)| (edge.to_owned(), (1..=last).collect()));
    ensure!(restarts.at_once == BTreeMap::from(expected), "{:?}", restarts.at_once);
    ensure!(restarts.differ.is_empty(), "after a restart: {:?}", restarts.differ);
    for removed in admin.delete_topics(&[&topic], &AdminOptions::new()).await? {
        ensure!(removed.is_ok(), "{removed:?}");
    }
    Ok(())
}
