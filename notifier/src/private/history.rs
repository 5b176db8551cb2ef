//! The past of an account, from the projection in PostgreSQL.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use brokerx_schemas::{AccountEvent, AccountId, Message};
use sqlx::PgPool;
use sqlx::types::Json;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Events per page.
pub(super) const PAGE: usize = 500;
/// How long a page may take, including the wait for its turn.
const PAGE_LIMIT: Duration = Duration::from_secs(10);
/// How long a query smaller than a page may take.
const QUESTION_LIMIT: Duration = Duration::from_secs(1);

/// Reads the projection. Pages take turns, so that many clients that come back at once do not overload
/// PostgreSQL.
#[derive(Debug)]
pub struct History {
    database: PgPool,
    turns: Semaphore,
}

impl History {
    /// Reads through a pool, with at most `pages_max` pages at once.
    pub fn new(database: PgPool, pages_max: usize) -> Self {
        Self {
            database,
            turns: Semaphore::new(pages_max),
        }
    }

    /// The next events of an account after a number, in order, at most [`PAGE`].
    pub(super) async fn page(&self, account_id: AccountId, after: i64) -> anyhow::Result<Vec<AccountEvent>> {
        let page = timeout(PAGE_LIMIT, async {
            let _turn = self.turns.acquire().await?;
            let rows: Vec<Json<AccountEvent>> = sqlx::query_scalar(
                "SELECT body FROM projection.account_events
                 WHERE account_id = $1 AND account_seq > $2 ORDER BY account_seq LIMIT $3",
            )
            .bind(account_id.0)
            .bind(after)
            .bind(PAGE as i64)
            .fetch_all(&self.database)
            .await?;
            anyhow::Ok(rows)
        });
        let rows = page.await.context("the projection did not answer in time")??;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// The last event of an account that is projected; 0 before the first.
    ///
    /// # Errors
    /// When PostgreSQL does not answer within 1 s.
    pub async fn last(&self, account_id: AccountId) -> anyhow::Result<i64> {
        let last = timeout(
            QUESTION_LIMIT,
            brokerx_projection::last_event(&self.database, account_id),
        )
        .await
        .context("the projection did not answer in time")??;
        Ok(last)
    }

    /// How far each partition of `account-events` is projected: events from that offset on are not in the
    /// pages yet.
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached.
    pub async fn positions(&self) -> anyhow::Result<BTreeMap<i32, i64>> {
        Ok(brokerx_projection::positions(&self.database, AccountEvent::TOPIC).await?)
    }
}
