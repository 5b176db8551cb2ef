//! Writes what the logs say into PostgreSQL, schema `projection`: `account-events`, `trades`,
//! `auth`, and of `market-data` the candles.
//!
//! ```text
//! reader (thread): assign() of all partitions -> drop duplicates and holes -> decode -> batch
//!     | channel of one batch
//! writer (task):   one transaction per batch: positions, then one statement per table
//! ```
//!
//! **Exactly once.** Positions and rows move in one transaction, and a position moves only from
//! where the batch began; when it is elsewhere, somebody else projected, and this session starts
//! over from the database. So a batch is in the rows once, or not at all. On the way in, a worker's
//! records are judged by their edge numbers (`src`, `seq`), whose last values are part of the
//! projection (`log_sources`): duplicates are dropped, and records behind a hole too, because their
//! writer starts over from before it. Behind that, the dense `account_seq` of each account is
//! checked against the row of the account, and `auth`, which an outbox relay may write twice, is
//! told apart by `event_id`.
//!
//! **A log that forgets.** `market-data` is kept for a time only. It is read from where it begins, and
//! the first number of a worker is its base; a refold has the candles that are in the log still.
//!
//! **One owner.** Instances agree by an advisory lock that lives as long as the connection; the
//! others stand by. The positions are the fence if two ever believe to own.
//!
//! **PostgreSQL away.** Any error ends the session; the next begins after a back-off from the
//! positions in the database. At most three batches are in memory. Nothing here is waited for by
//! trading.
//!
//! **Rebuildable.** Rows come from records alone, never from a clock, so a refold gives the same
//! rows ([`rebuild`]). Commits are asynchronous: what a crash of PostgreSQL loses, positions
//! included, is folded again.
//!
//! **A record that cannot be understood** stops its partition, loudly, until an operator or another
//! build helps; the other partitions go on. An unknown schema is waited for.

mod batch;
mod candles;
mod changes;
mod database;
mod intake;
mod metrics;
mod positions;
mod reader;
mod rebuild;
mod rows;
mod session;
mod tables;

use std::time::Duration;

use brokerx_topics::codec::Codec;
use brokerx_topics::service::{self, Check, Health, Metrics, PlatformOptions, Shutdown};
use rdkafka::error::KafkaError;

pub use changes::Contradiction;
pub use rebuild::{Projected, RebuildOptions, project};

use metrics::ProjectorMetrics;

/// Where the projection is written, and in what portions.
#[derive(clap::Args, Clone, Debug)]
pub struct ProjectorOptions {
    /// The database, `postgres://user:password@host:port/database`
    #[arg(long, env = "BROKERX_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Most records in one transaction of the projector
    #[arg(long, env = "BROKERX_PROJECTOR_RECORDS_MAX", default_value_t = 4_000)]
    pub projector_records_max: usize,
    /// Most bytes of records in one transaction of the projector
    #[arg(long, env = "BROKERX_PROJECTOR_BYTES_MAX", default_value_t = 8 << 20)]
    pub projector_bytes_max: usize,
    /// How long the first record of a transaction waits for others, milliseconds
    #[arg(long, env = "BROKERX_PROJECTOR_LINGER_MS", default_value_t = 10)]
    pub projector_linger_ms: u64,
}

/// What bounds a batch.
#[derive(Clone, Copy, Debug)]
struct BatchLimits {
    records_max: usize,
    bytes_max: usize,
    linger: Duration,
}

impl From<&ProjectorOptions> for BatchLimits {
    fn from(options: &ProjectorOptions) -> Self {
        Self {
            records_max: options.projector_records_max.max(1),
            bytes_max: options.projector_bytes_max.max(1),
            linger: Duration::from_millis(options.projector_linger_ms),
        }
    }
}

/// Why a session of the projector ended. All but the defects are tried again after a back-off.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// PostgreSQL is away, or refused.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("the migrations of the projection: {0}")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The broker is away, or the log is not what the positions say.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// A log is missing.
    #[error("topic {0} does not exist; run `brokerx-topics apply` first")]
    NoTopic(&'static str),
    /// The projection is of a log with more partitions than there are.
    #[error("the projection knows {topic}-{partition}, which does not exist; it is of another log: rebuild it")]
    PartitionGone {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// Somebody else moved a position.
    #[error("another instance projected meanwhile; starting over from its positions")]
    AnotherOwner,
    /// The projection and the log contradict each other.
    #[error("the log contradicts the projection: {0}")]
    Contradiction(#[from] Contradiction),
    /// Something took longer than its limit.
    #[error("{0} took too long")]
    Late(&'static str),
    /// The reader ended without a word: it panicked.
    #[error("the reader of the logs died")]
    ReaderDied,
    /// The system refused a thread.
    #[error("the reader's thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// What every session of a projector needs.
#[derive(Clone)]
struct Parts {
    platform: PlatformOptions,
    database_url: String,
    limits: BatchLimits,
    codec: Codec,
    metrics: ProjectorMetrics,
    check: Check,
}

/// A projector that is ready to run.
pub struct Projector {
    parts: Parts,
}

impl Projector {
    /// A projector; its metrics and its readiness are registered. It is ready when it projects or
    /// stands by for another instance that does.
    pub fn new(
        platform: &PlatformOptions,
        options: &ProjectorOptions,
        codec: Codec,
        metrics: &mut Metrics,
        health: &Health,
    ) -> Self {
        Self {
            parts: Parts {
                platform: platform.clone(),
                database_url: options.database_url.clone(),
                limits: options.into(),
                codec,
                metrics: ProjectorMetrics::register(metrics),
                check: health.add("projector"),
            },
        }
    }

    /// Projects until the shutdown is requested, whatever happens meanwhile. A transaction that is
    /// open then is finished or given up; either way nothing is lost.
    pub async fn run(self, shutdown: Shutdown) {
        let mut backoff = service::backoff();
        while !shutdown.is_requested() {
            let projected = tokio::select! {
                projected = session::run(&self.parts, &mut backoff) => projected,
                () = shutdown.requested() => break,
            };
            let Err(error) = projected;
            self.parts.metrics.owner.set(0);
            self.parts.metrics.errors.inc();
            self.parts.check.set(false, &error.to_string());
            tracing::warn!(%error, "the projection starts over");
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                () = shutdown.requested() => break,
            }
        }
    }
}
