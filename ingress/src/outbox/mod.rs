//! How a change of identity reaches Kafka although it is written to PostgreSQL: no dual write.
//!
//! A change writes its records into the table `outbox` in its own transaction; the [`Relay`] sends
//! them in the order of `event_id` and deletes each after Kafka has acknowledged it. A writer holds
//! an advisory lock from the moment it draws an id until it commits, so ids become visible in order and
//! the relay cannot skip one that commits late. When the relay stops between the acknowledgement and the
//! deletion, it sends a record twice: consumers of `auth` remove duplicates by `event_id`, and settlement
//! applies only a higher version of an account's status.

mod relay;

use std::time::{Duration, Instant};

use brokerx_schemas::{AccountCommand, AccountId, AccountState, AccountStatus, AuthEvent, Message};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

pub use relay::Relay;

/// Held by a writer from the moment it draws an id until it commits.
const WRITER_LOCK: i64 = 0x6272_6f6b_6572_0002;

/// Where PostgreSQL tells the relay, of whatever process, that a writer has committed.
const CHANNEL: &str = "outbox";

/// Waits, at most `limit`, until everything up to `event_id` has left the outbox: what a client sends
/// after that comes behind the change in the log. When the limit is over this returns all the same; the
/// client may then be refused once and have to try again.
pub async fn relayed(database: &PgPool, event_id: i64, limit: Duration) {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        let waiting = sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM outbox WHERE event_id <= $1)")
            .bind(event_id)
            .fetch_one(database)
            .await;
        if !matches!(waiting, Ok(true)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Writes records in the caller's transaction.
pub struct Writer<'a> {
    connection: &'a mut PgConnection,
    correlation_id: Option<&'a str>,
}

impl<'a> Writer<'a> {
    /// Takes the lock, which other writers wait for: the caller must commit soon. The commit wakes the relay.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn new(connection: &'a mut PgConnection, correlation_id: Option<&'a str>) -> sqlx::Result<Self> {
        sqlx::query("SELECT pg_advisory_xact_lock($1), pg_notify($2, '')")
            .bind(WRITER_LOCK)
            .bind(CHANNEL)
            .execute(&mut *connection)
            .await?;
        Ok(Self {
            connection,
            correlation_id,
        })
    }

    /// Writes a record of `auth`, made with its own event id, which is returned.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn auth(&mut self, key: &str, event: impl FnOnce(i64) -> AuthEvent) -> sqlx::Result<i64> {
        self.write(AuthEvent::TOPIC, key, event).await
    }

    /// Writes the status of an account for settlement. Returns the event id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account_status(
        &mut self,
        account_id: AccountId,
        state: AccountState,
        version: i64,
    ) -> sqlx::Result<i64> {
        let status = AccountStatus {
            account_id,
            state,
            version,
        };
        self.write(AccountCommand::TOPIC, &account_id.to_string(), |_| {
            AccountCommand::AccountStatus(status)
        })
        .await
    }

    async fn write<T: Serialize>(
        &mut self,
        topic: &str,
        key: &str,
        record: impl FnOnce(i64) -> T,
    ) -> sqlx::Result<i64> {
        let event_id: i64 = sqlx::query_scalar("SELECT nextval('outbox_event_ids')")
            .fetch_one(&mut *self.connection)
            .await?;
        sqlx::query(
            "INSERT INTO outbox (event_id, topic, partition_key, payload, correlation_id) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(event_id)
        .bind(topic)
        .bind(key)
        .bind(sqlx::types::Json(record(event_id)))
        .bind(self.correlation_id)
        .execute(&mut *self.connection)
        .await?;
        Ok(event_id)
    }
}
