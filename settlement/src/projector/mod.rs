//! Writes what the logs say into the schema `projection` of PostgreSQL: `account-events`, `trades`,
//! `auth`, and the candles of `market-data`.
//!
//! ```text
//! reader (thread): assign() of all partitions -> drop duplicates and holes -> decode -> batch
//!     | channel of one batch
//! writer (task):   one transaction per batch: positions, then one statement per table
//! ```
//!
//! **Exactly once.** Positions and rows move in one transaction, and a position moves only from
//! where the batch began; when it is elsewhere, somebody else has projected, and this session
//! starts over from the database. So a batch is in the rows once or not at all. On the way in, a
//! worker's records are judged by their edge numbers (`src`, `seq`), whose last values are part of
//! the projection (`log_sources`): duplicates are dropped, and records behind a hole too, because
//! their writer starts over from before it. Behind that, the dense `account_seq` of each account is
//! checked against the row of the account, and `auth`, which an outbox relay may write twice, is
//! told apart by `event_id`.
//!
//! **A log that forgets.** `market-data` is kept for a time only. It is read from where it begins,
//! and the first number of a worker is its base; a refold has the candles that are still in the
//! log.
//!
//! **One owner.** Instances agree by an advisory lock that lives as long as the connection; the
//! others stand by. PostgreSQL ends the connection of an owner that says nothing for 10 s, as one that
//! is frozen does, and another takes over; until then those that stand by are not ready. The positions
//! are the fence should two ever believe that they own it.
//!
//! **PostgreSQL away.** Any error ends the session; the next begins after a back-off from the
//! positions in the database. At most three batches are in memory. Trading waits for nothing here.
//!
//! **Rebuildable.** Rows come from records alone, never from a clock, so a refold gives the same
//! rows ([`rebuild`]). Commits are asynchronous: what a crash of PostgreSQL loses, positions
//! included, is folded again.
//!
//! **A record that contradicts** what is projected of its account is not applied: the account is set aside
//! ([`set_aside`]), the others go on. So is a row of another record that PostgreSQL refuses for good; which
//! one that is, is found by halves ([`halves`]).
//!
//! **A record that cannot be understood** stops its partition, loudly, until an operator or another
//! build helps; the other partitions go on. An unknown schema is waited for. One that does not say that the worker
//! wrote it who alone writes the log, or, where others write as well, whose bytes are no message and that names no
//! worker, is nobody's: it is counted, logged and left out.
//!
//! **Offsets that hold no record**, as markers of transactions, are passed over once each was looked at
//! ([`Surveyor`](brokerx_topics::runner::Surveyor)); records that are lost stop their partition.

mod account;
mod batch;
mod candles;
mod changes;
mod database;
mod error;
mod halves;
mod intake;
mod metrics;
mod options;
mod plain;
mod positions;
mod reader;
mod rebuild;
mod rows;
mod session;
mod set_aside;
mod tables;
mod tally;
mod transaction;

use brokerx_topics::codec::Codec;
use brokerx_topics::passes::watch_unreadable;
use brokerx_topics::service::{self, ClockWatch, Health, Metrics, PlatformOptions, Shutdown};

pub use changes::Contradiction;
pub use error::ProjectorError;
pub use options::ProjectorOptions;
pub use rebuild::{Projected, RebuildOptions, project};

use metrics::ProjectorMetrics;
use session::Parts;

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
        watch_unreadable(metrics, health);
        Self {
            parts: Parts {
                platform: platform.clone(),
                database_url: options.database_url.clone(),
                limits: options.into(),
                codec,
                metrics: ProjectorMetrics::register(metrics),
                check: health.add("projector"),
                clock: ClockWatch::of_process(metrics, health),
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
