//! Accounts that are set aside: an event of theirs contradicts what is projected, so it is not applied, and the
//! other accounts go on. What is shown of such an account ends before the contradiction, and readers that wait
//! for more are told so. It is counted, shown by the reconciliation, and kept with the event as evidence.

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
