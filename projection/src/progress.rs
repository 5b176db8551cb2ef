//! How far the projection has come.

use std::collections::BTreeMap;

use brokerx_schemas::AccountId;
use sqlx::PgPool;

/// The number of the last event of an account that is projected; 0 before the first.
///
/// # Errors
/// When PostgreSQL cannot be reached.
pub async fn last_event(database: &PgPool, account_id: AccountId) -> sqlx::Result<i64> {
    let last: Option<i64> = sqlx::query_scalar("SELECT account_seq FROM projection.accounts WHERE account_id = $1")
        .bind(account_id.0)
        .fetch_optional(database)
        .await?;
    Ok(last.unwrap_or(0))
}

/// How far each partition of a topic is projected: its next offset.
///
/// # Errors
/// When PostgreSQL cannot be reached.
pub async fn positions(database: &PgPool, topic: &str) -> sqlx::Result<BTreeMap<i32, i64>> {
    let rows: Vec<(i32, i64)> =
        sqlx::query_as("SELECT partition, position FROM projection.log_positions WHERE topic = $1")
            .bind(topic)
            .fetch_all(database)
            .await?;
    Ok(rows.into_iter().collect())
}
