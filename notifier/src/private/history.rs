//! The past of an account, from the projection in PostgreSQL.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use brokerx_schemas::{AccountEvent, AccountId, Message};
use sqlx::PgPool;
use sqlx::types::Json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Events per page.
pub(super) const PAGE: usize = 500;
/// How long a page may take, including the wait for its turn.
const PAGE_LIMIT: Duration = Duration::from_secs(10);
/// How long a query smaller than a page may take.
const QUESTION_LIMIT: Duration = Duration::from_secs(1);

/// One page of an account is read at a time: accounts share so many turns.
const ACCOUNT_TURNS: usize = 1_024;

/// Reads the projection. Pages take turns, so that many clients that come back at once do not overload
/// PostgreSQL, and an account has one page in turn at a time, however many connections it has: an account
/// that asks for its past again and again does not hold up the others.
#[derive(Debug)]
pub struct History {
    database: PgPool,
    turns: Arc<Semaphore>,
    /// Which of them is an account's is decided by a hash that nobody outside can foresee.
    account_turns: Vec<Arc<Semaphore>>,
    hasher: RandomState,
}

impl History {
    /// Reads through a pool, with at most `pages_max` pages at once.
    pub fn new(database: PgPool, pages_max: usize) -> Self {
        Self {
            database,
            turns: Arc::new(Semaphore::new(pages_max)),
            account_turns: std::iter::repeat_with(|| Arc::new(Semaphore::new(1)))
                .take(ACCOUNT_TURNS)
                .collect(),
            hasher: RandomState::new(),
        }
    }

    /// The next events of an account after a number, in order, at most [`PAGE`].
    pub(super) async fn page(&self, account_id: AccountId, after: i64) -> anyhow::Result<Vec<AccountEvent>> {
        let page = timeout(PAGE_LIMIT, async {
            let turn = self.turn(account_id).await?;
            let query = page(self.database.clone(), account_id, after);
            // Whoever asked may go away; the database works on, and the turn is over when it is done.
            let reading = tokio::spawn(async move {
                let rows = timeout(PAGE_LIMIT, query).await;
                drop(turn);
                rows
            });
            reading.await?.context("the query took too long")?
        });
        page.await.context("the projection did not answer in time")?
    }

    /// Waits until nobody else reads a page of the account, and then until there is room for one more.
    async fn turn(&self, account_id: AccountId) -> anyhow::Result<[OwnedSemaphorePermit; 2]> {
        let index = self.hasher.hash_one(account_id) as usize % ACCOUNT_TURNS;
        let of_account = Arc::clone(&self.account_turns[index]).acquire_owned().await?;
        let of_all = Arc::clone(&self.turns).acquire_owned().await?;
        Ok([of_account, of_all])
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

async fn page(database: PgPool, account_id: AccountId, after: i64) -> anyhow::Result<Vec<AccountEvent>> {
    let rows: Vec<Json<AccountEvent>> = sqlx::query_scalar(
        "SELECT body FROM projection.account_events
         WHERE account_id = $1 AND account_seq > $2 ORDER BY account_seq LIMIT $3",
    )
    .bind(account_id.0)
    .bind(after)
    .bind(PAGE as i64)
    .fetch_all(&database)
    .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_account_reads_one_page_at_a_time() {
        let database = PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
        let history = History::new(database, 2);
        let none = Duration::ZERO;
        let first = history.turn(AccountId(1)).await.unwrap();
        assert!(timeout(none, history.turn(AccountId(1))).await.is_err());
        // Another account, which has a turn of its own, is not held up, and there are two in all.
        let apart = |id: &i64| {
            let place = |id: i64| history.hasher.hash_one(AccountId(id)) as usize % ACCOUNT_TURNS;
            place(*id) != place(1)
        };
        let mut others = (2..).filter(apart);
        let second = timeout(none, history.turn(AccountId(others.next().unwrap())))
            .await
            .unwrap();
        let third = AccountId(others.next().unwrap());
        assert!(timeout(none, history.turn(third)).await.is_err());
        drop((first, second));
        assert!(timeout(none, history.turn(AccountId(1))).await.is_ok());
    }
}
