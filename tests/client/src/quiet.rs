//! When nothing is on its way any more.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use brokerx_topics::service::{Drained, PlatformOptions, kafka};
use rdkafka::consumer::Consumer;
use sqlx::{PgPool, Row};

const LIMIT: Duration = Duration::from_secs(90);

/// Topics that grow while a command is on its way. The inboxes are not among them, because ticks go there
/// once a second; what a tick causes ends in none of these.
const TOPICS: [&str; 5] = ["account-events", "trades", "orders", "deposits", "ledger"];

/// Waits until no event of an account or trade appears for 3 s and the projection has them all. That may
/// take long after much was done: it is given up when nothing has moved for 90 s.
///
/// # Errors
/// When the pipeline neither comes to rest nor moves, with what the projection lacks.
pub async fn wait_until_quiet(platform: &PlatformOptions, database: &PgPool) -> anyhow::Result<()> {
    let mut last = (BTreeMap::new(), BTreeMap::new());
    let (mut grown, mut moved) = (Instant::now(), Instant::now());
    loop {
        let platform = platform.clone();
        let ends = tokio::task::spawn_blocking(move || ends(&platform)).await??;
        let positions = positions(database).await?;
        if ends != last.0 {
            grown = Instant::now();
        }
        let now = (ends, positions);
        if now != last {
            moved = Instant::now();
            last = now;
        }
        let behind = behind(&last.0, &last.1);
        if behind == 0 && grown.elapsed() > Duration::from_secs(3) {
            return Ok(());
        }
        ensure!(
            moved.elapsed() < LIMIT,
            "the pipeline does not come to rest: the projection has stopped {behind} records before the ends of \
             its topics; see ./brokerx status and ./brokerx logs settlement"
        );
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

fn ends(platform: &PlatformOptions) -> anyhow::Result<BTreeMap<(&'static str, i32), i64>> {
    let consumer: Drained = kafka::consumer_config(platform, "brokerx-client").create()?;
    let timeout = Duration::from_secs(20);
    let mut ends = BTreeMap::new();
    for topic in TOPICS {
        let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
        for partition in metadata.topics().first().context("the topic is unknown")?.partitions() {
            let (_, end) = consumer.fetch_watermarks(topic, partition.id(), timeout)?;
            ends.insert((topic, partition.id()), end);
        }
    }
    Ok(ends)
}

async fn positions(database: &PgPool) -> anyhow::Result<BTreeMap<(String, i32), i64>> {
    let rows = sqlx::query("SELECT topic, partition, position FROM projection.log_positions")
        .fetch_all(database)
        .await?;
    let mut positions = BTreeMap::new();
    for row in rows {
        let key: (String, i32) = (row.try_get("topic")?, row.try_get("partition")?);
        positions.insert(key, row.try_get::<i64, _>("position")?);
    }
    Ok(positions)
}

/// How many records are not in the projection yet.
fn behind(ends: &BTreeMap<(&'static str, i32), i64>, positions: &BTreeMap<(String, i32), i64>) -> i64 {
    let projected = ends
        .iter()
        .filter(|((topic, _), _)| ["account-events", "trades"].contains(topic));
    projected
        .map(|((topic, partition), end)| (end - positions.get(&((*topic).to_owned(), *partition)).unwrap_or(&0)).max(0))
        .sum()
}
