//! One life of the projector: from the positions in the database to the first error.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use brokerx_topics::codec::Codec;
use brokerx_topics::service::{Backoff, Check, ClockWatch, PlatformOptions, since};

use super::batch::Batch;
use super::error::ProjectorError;
use super::metrics::ProjectorMetrics;
use super::options::BatchLimits;
use super::reader::{ReaderParts, UnplacedReader};
use super::{database, positions, set_aside, transaction};

/// Longest time of one transaction: a session with a database that hangs is given up.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(60);
/// How often an instance that stands by asks whether it may project.
const STANDBY_INTERVAL: Duration = Duration::from_secs(1);
/// How often an idle projector looks whether its positions are still what it left.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What every session of a projector needs.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) platform: PlatformOptions,
    pub(super) database_url: String,
    pub(super) limits: BatchLimits,
    pub(super) codec: Codec,
    pub(super) metrics: ProjectorMetrics,
    pub(super) check: Check,
    pub(super) clock: ClockWatch,
}

/// Projects until something fails.
pub(super) async fn run(parts: &Parts, backoff: &mut Backoff) -> Result<Infallible, ProjectorError> {
    let mut connection = database::open(&parts.database_url).await?;
    database::ensure_current(&mut connection).await?;
    while !database::try_own(&mut connection).await? {
        // An owner that says nothing may be frozen: until it has lost its lease nobody projects.
        match database::owner_silence(&mut connection).await? {
            silence if database::is_lively(silence) => parts.check.set(true, "standing by for another instance"),
            _ => parts.check.set(false, "the instance that projects has fallen silent"),
        }
        backoff.reset();
        tokio::time::sleep(STANDBY_INTERVAL).await;
    }
    let reader_parts = ReaderParts {
        platform: parts.platform.clone(),
        codec: parts.codec.clone(),
        limits: parts.limits,
        metrics: parts.metrics.clone(),
        check: parts.check.clone(),
        clock: parts.clock.clone(),
    };
    parts.check.set(false, "starting to project");
    let mut connecting = tokio::task::spawn_blocking(move || UnplacedReader::connect(reader_parts));
    // Kafka may take long to answer, and the lease must not end for that.
    let reader = loop {
        match tokio::time::timeout(LOOK_INTERVAL, &mut connecting).await {
            Ok(connected) => break connected.map_err(|_| ProjectorError::ReaderDied)??,
            Err(_) => limited(database::keep_lease(&mut connection)).await?,
        }
    };
    parts
        .metrics
        .set_aside_accounts
        .set(set_aside::count(&mut connection).await?);
    parts
        .metrics
        .set_aside_rows
        .set(set_aside::count_rows(&mut connection).await?);
    let progress = positions::load(&mut connection, &reader.begins).await?;
    let mut position_sum: i64 = progress.values().map(|progress| progress.position).sum();
    let mut batches = reader.start(progress)?;
    parts.metrics.owner.set(1);
    parts.check.set(true, "projecting");
    loop {
        let batch = match tokio::time::timeout(LOOK_INTERVAL, batches.recv()).await {
            Ok(Some(batch)) => batch?,
            Ok(None) => return Err(ProjectorError::ReaderDied),
            Err(_) => {
                // Somebody may have dropped the projection to have it folded anew.
                limited(positions::verify(&mut connection, position_sum)).await?;
                continue;
            }
        };
        let begun = Instant::now();
        limited(transaction::write(&mut connection, &batch, &parts.metrics)).await?;
        parts.metrics.batch_seconds.observe(begun.elapsed().as_secs_f64());
        position_sum += batch.span();
        committed(&batch, &parts.metrics);
        if parts.metrics.stopped_partitions.get() > 0 {
            parts.check.set(false, "partitions have stopped, see the log");
        } else if parts.metrics.blocked.get() == 0 && parts.metrics.held_up.get() == 0 {
            // Else the reader says what it waits for.
            parts.check.set(true, "projecting");
        }
        backoff.reset();
    }
}

async fn limited<T, E: Into<ProjectorError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, ProjectorError> {
    tokio::time::timeout(TRANSACTION_LIMIT, work)
        .await
        .map_err(|_| ProjectorError::Late("a transaction"))?
        .map_err(Into::into)
}

fn committed(batch: &Batch, metrics: &ProjectorMetrics) {
    for (partition, advance) in &batch.advances {
        metrics.moved_to(*partition, advance.to);
        metrics.projected(partition.0.topic(), (advance.to - advance.from) as u64);
    }
    metrics.batch_records.observe(batch.records as f64);
    if batch.records > 0 {
        metrics
            .lag_seconds
            .set(since(batch.newest_ms.saturating_mul(1_000)).as_secs_f64());
    }
}
