//! Follows a client's private stream, however often the connection breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use brokerx_client::Session;
use sqlx::PgPool;

const PATIENCE: Duration = Duration::from_secs(90);

/// Follows one client's stream.
pub struct Watcher {
    session: Session,
    database: PgPool,
    last: i64,
}

impl Watcher {
    pub fn new(session: Session, database: PgPool) -> Self {
        Self {
            session,
            database,
            last: 0,
        }
    }

    /// Follows the stream until told to stop and everything has come. Fails on a gap or a duplicate. Returns
    /// how many events came.
    pub async fn watch(mut self, stop: Arc<AtomicBool>) -> anyhow::Result<i64> {
        let mut stopped: Option<Instant> = None;
        loop {
            if stop.load(Ordering::Relaxed) {
                let since = *stopped.get_or_insert_with(Instant::now);
                if self.last_of_account().await.is_some_and(|last| last == self.last)
                    && since.elapsed() > Duration::from_secs(5)
                {
                    return Ok(self.last);
                }
                ensure!(
                    since.elapsed() < PATIENCE,
                    "the stream of {} ended at {}",
                    self.session.account_id,
                    self.last
                );
            }
            // The notifier died or does not answer: the watcher connects again and asks for what was missed.
            let Err(error) = self.follow(&stop).await else { continue };
            if error.downcast_ref::<Broken>().is_some() {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn follow(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let mut stream = self
            .session
            .stream(&["orders", "balances", "deposits"], Some(self.last))
            .await?;
        loop {
            let limit = if stop.load(Ordering::Relaxed) {
                Duration::from_secs(2)
            } else {
                Duration::from_secs(10)
            };
            let event = stream.next_where(limit, |message| message["type"] == "event").await?;
            let seq = event["seq"].as_i64().context("an event without a number")?;
            if seq != self.last + 1 {
                return Err(Broken(format!(
                    "account {}: {seq} follows {}",
                    self.session.account_id, self.last
                ))
                .into());
            }
            self.last = seq;
        }
    }

    /// The number of the account's last event, as the projection has it.
    async fn last_of_account(&self) -> Option<i64> {
        let query = sqlx::query_scalar("SELECT account_seq FROM projection.accounts WHERE account_id = $1");
        let account_id: i64 = self.session.account_id.parse().ok()?;
        query.bind(account_id).fetch_optional(&self.database).await.ok()?
    }
}

/// A gap or a duplicate, which a new connection cannot repair.
#[derive(Debug)]
struct Broken(String);

impl std::fmt::Display for Broken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}
