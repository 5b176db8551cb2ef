//! What is not applied, and holds up nothing else.
//!
//! An event that contradicts what is projected of its account: the account is set aside, and the others go on.
//! What is shown of such an account ends before the contradiction, and readers that wait for more are told so.
//!
//! A row of another record, a trade, an identity event or a candle, that PostgreSQL refuses for good: that row
//! is.
//!
//! Both are counted, shown by the reconciliation, and kept as evidence.

use brokerx_schemas::AccountEvent;
use sqlx::PgConnection;

use super::rows::JsonText;

/// An event that was not applied.
#[derive(Debug)]
pub(super) struct SetAside {
    pub(super) account_id: i64,
    pub(super) account_seq: i64,
    /// The last event of the account that is projected.
    pub(super) projected_seq: i64,
    pub(super) reason: String,
    pub(super) body: JsonText,
}

impl SetAside {
    pub(super) fn new(event: &AccountEvent, body: &JsonText, projected_seq: i64, reason: String) -> Self {
        Self {
            account_id: event.account_id.0,
            account_seq: event.account_seq,
            projected_seq,
            reason,
            body: body.clone(),
        }
    }
}

/// Writes events that were not applied: the first of an account stays as the evidence, all are counted.
pub(super) async fn write(connection: &mut PgConnection, events: &[SetAside]) -> Result<(), sqlx::Error> {
    for event in events {
        sqlx::query(
            "INSERT INTO projection.set_aside AS known
                 (account_id, account_seq, projected_seq, reason, events, body, follows)
             VALUES ($1, $2, $3, $4, 1, $5::jsonb, false)
             ON CONFLICT (account_id) DO UPDATE SET events = known.events + 1, follows = false",
        )
        .bind(event.account_id)
        .bind(event.account_seq)
        .bind(event.projected_seq)
        .bind(&event.reason)
        .bind(&event.body)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Notes that events of these accounts follow on what is projected: only stray records were left out.
pub(super) async fn follow(connection: &mut PgConnection, account_ids: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE projection.set_aside SET follows = true WHERE NOT follows AND account_id = ANY($1)")
        .bind(account_ids)
        .execute(connection)
        .await?;
    Ok(())
}

/// How many accounts are behind a contradiction.
pub(super) async fn count(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM projection.set_aside WHERE NOT follows")
        .fetch_one(connection)
        .await
}

/// A row without an account that was refused, and the record that it comes from.
#[derive(Debug)]
pub(super) struct RowAside {
    pub(super) topic: &'static str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// What it is about.
    pub(super) subject: String,
    pub(super) reason: String,
    /// What it says, as JSON.
    pub(super) body: String,
}

/// Writes a row that was refused.
pub(super) async fn write_row(connection: &mut PgConnection, row: &RowAside) -> Result<(), sqlx::Error> {
    let RowAside {
        topic,
        partition,
        offset,
        subject,
        reason,
        body,
    } = row;
    tracing::error!(topic, partition, offset, subject, reason, "a row is refused for good");
    sqlx::query(
        "INSERT INTO projection.set_aside_records (topic, partition, record_offset, subject, reason, body, follows)
         VALUES ($1, $2, $3, $4, $5, $6, false)
         ON CONFLICT (topic, partition, record_offset, subject) DO UPDATE SET follows = false",
    )
    .bind(topic)
    .bind(partition)
    .bind(offset)
    .bind(subject)
    .bind(reason)
    .bind(body)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that later records of a topic say how these stand: of those that were refused nothing is missing.
pub(super) async fn follow_rows(
    connection: &mut PgConnection,
    topic: &str,
    subjects: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE projection.set_aside_records SET follows = true
         WHERE NOT follows AND topic = $1 AND subject = ANY($2)",
    )
    .bind(topic)
    .bind(subjects)
    .execute(connection)
    .await?;
    Ok(())
}

/// How many rows without an account are missing.
pub(super) async fn count_rows(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM projection.set_aside_records WHERE NOT follows")
        .fetch_one(connection)
        .await
}
