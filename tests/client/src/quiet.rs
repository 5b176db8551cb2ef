//! When nothing is on its way any more.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use brokerx_topics::service::{PlatformOptions, kafka};
use rdkafka::consumer::{BaseConsumer, Consumer};
use sqlx::{PgPool, Row};

use crate::wait::eventually;

const LIMIT: Duration = Duration::from_secs(90);

/// Topics that grow while a command is on its way. The inboxes are not among them, because ticks go there
/// once a second; what a tick causes ends in none of these.
const TOPICS: [&str; 5] = ["account-events", "trades", "orders", "deposits", "ledger"];

/// Waits until no event of an account or trade appears for 3 s and the projection has them all.
///
/// # Errors
/// When the pipeline does not come to rest in time.
pub async fn wait_until_quiet(platform: &PlatformOptions, database: &PgPool) -> anyhow::Result<()> {
    let mut last = BTreeMap::new();
    let mut since = std::time::Instant::now();
    eventually("the pipeline comes to rest", LIMIT, async || {
        let platform = platform.clone();
        let ends = tokio::task::spawn_blocking(move || ends(&platform)).await??;
        if ends != last {
            last = ends;
            since = std::time::Instant::now();
            return Ok(false);
        }
        Ok(since.elapsed() > Duration::from_secs(3) && is_projected(&last, database).await?)
    })
    .await
}

fn ends(platform: &PlatformOptions) -> anyhow::Result<BTreeMap<(&'static str, i32), i64>> {
    let consumer: BaseConsumer = kafka::consumer_config(platform, "brokerx-client").create()?;
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

async fn is_projected(ends: &BTreeMap<(&'static str, i32), i64>, database: &PgPool) -> anyhow::Result<bool> {
    let rows = sqlx::query("SELECT topic, partition, position FROM projection.log_positions")
        .fetch_all(database)
        .await?;
    let mut positions = BTreeMap::new();
    for row in rows {
        let key: (String, i32) = (row.try_get("topic")?, row.try_get("partition")?);
        positions.insert(key, row.try_get::<i64, _>("position")?);
    }
    Ok(ends
        .iter()
        .filter(|((topic, _), end)| ["account-events", "trades"].contains(topic) && **end > 0)
        .all(|((topic, partition), end)| positions.get(&((*topic).to_owned(), *partition)) == Some(end)))
}
