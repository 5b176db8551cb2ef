//! Projects up to where the logs end now, from nothing if asked, and comes back.

use std::time::{Duration, Instant};

use brokerx_topics::codec::Codec;
use brokerx_topics::service::{self, Health, PlatformOptions, Shutdown};
use sqlx::{Connection, PgConnection};

use super::batch::Log;
use super::error::ProjectorError;
use super::options::ProjectorOptions;
use super::{Projector, database, reader};

/// How often the positions are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// What `project` does.
#[derive(clap::Args, Clone, Debug)]
pub struct RebuildOptions {
    /// Drop the projection first and refold it from the first record of every log; needs the URL of the database's owner
    #[arg(long)]
    pub rebuild: bool,
    /// Give up after this time, seconds
    #[arg(long, default_value_t = 3_600)]
    pub limit_seconds: u64,
}

/// What was done.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Projected {
    /// Records in the logs up to where they ended when it began.
    pub records: i64,
    /// How long it took.
    pub seconds: f64,
}

/// Projects up to where the logs end now. May be called beside running instances: one of them, or
/// this one, does the work. With `rebuild`, readers find an empty projection for a while.
///
/// # Errors
/// When the logs cannot be asked, the projection cannot be dropped, or the limit has passed.
pub async fn project(
    platform: &PlatformOptions,
    options: &ProjectorOptions,
    what: &RebuildOptions,
    codec: Codec,
    shutdown: Shutdown,
) -> Result<Projected, ProjectorError> {
    let begun = Instant::now();
    if what.rebuild {
        database::drop_schema(&options.database_url).await?;
    }
    let mut metrics = service::metrics();
    let projector = Projector::new(platform, options, codec, &mut metrics, &Health::default());
    let ranges = {
        let (platform, metrics) = (platform.clone(), projector.parts.metrics.clone());
        tokio::task::spawn_blocking(move || reader::log_ranges(&platform, &metrics))
            .await
            .map_err(|_| ProjectorError::ReaderDied)??
    };
    let mut connection = database::open(&options.database_url).await?;
    database::ensure_current(&mut connection).await?;
    let stop = Shutdown::default();
    let running = tokio::spawn(projector.run(stop.clone()));
    let reached = tokio::select! {
        reached = wait_until(&mut connection, |log, partition| ranges.get(&(log, partition)).map_or(0, |range| range.end)) => reached,
        () = tokio::time::sleep(Duration::from_secs(what.limit_seconds)) => Err(ProjectorError::Late("projecting")),
        () = shutdown.requested() => Err(ProjectorError::Late("projecting, until it was interrupted,")),
    };
    stop.request();
    running.await.map_err(|_| ProjectorError::ReaderDied)?;
    reached?;
    connection.close().await?;
    Ok(Projected {
        records: ranges.values().map(|range| range.end - range.start).sum(),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

async fn wait_until(connection: &mut PgConnection, end_of: impl Fn(Log, i32) -> i64) -> Result<(), ProjectorError> {
    loop {
        let positions: Vec<(String, i32, i64)> =
            sqlx::query_as("SELECT topic, partition, position FROM projection.log_positions")
                .fetch_all(&mut *connection)
                .await?;
        let reached = |(topic, partition, position): &(String, i32, i64)| {
            Log::of_topic(topic).is_none_or(|log| *position >= end_of(log, *partition))
        };
        if !positions.is_empty() && positions.iter().all(reached) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
