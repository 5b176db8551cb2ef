//! A consumer of another team, in another language, with the registry's own client.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::ensure;
use brokerx_client::wait_until_quiet;
use brokerx_e2e::fixture::Fixture;
use brokerx_launcher::builds::python;
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
