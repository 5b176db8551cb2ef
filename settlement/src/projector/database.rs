//! The projector's one connection: opening, migrating, owning, resetting.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::time::timeout;

use super::ProjectorError;

/// Longest wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Longest wait for the migrations, another instance's turn at them included.
const MIGRATE_LIMIT: Duration = Duration::from_secs(120);
/// PostgreSQL ends a statement that takes longer.
const STATEMENT_SECONDS_MAX: u32 = 30;
/// How long an owner may say nothing to PostgreSQL, in a transaction or between two; then it loses its
/// connection, and with it the lock. It speaks once a second.
const LEASE_SECONDS: u32 = 10;
/// Names the projector's advisory lock: "projecto" in ASCII.
const OWNER_LOCK: i64 = 0x7072_6f6a_6563_746f;

/// Opens a connection for the projector.
pub(super) async fn open(url: &str) -> Result<PgConnection, ProjectorError> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("brokerx-projector")
        .options([
            ("search_path", "projection".to_owned()),
            ("statement_timeout", format!("{STATEMENT_SECONDS_MAX}s")),
            // Positions and rows are lost together or not at all, and what is lost is folded again.
            ("synchronous_commit", "off".to_owned()),
        ]);
    timeout(CONNECT_LIMIT, options.connect())
        .await
        .map_err(|_| ProjectorError::Late("connecting to PostgreSQL"))?
        .map_err(ProjectorError::Database)
}

/// Makes sure that the schema is up to date: its owner has done that, unless this process is the owner.
pub(super) async fn ensure_current(connection: &mut PgConnection) -> Result<(), ProjectorError> {
    timeout(MIGRATE_LIMIT, brokerx_projection::ensure_current(connection))
        .await
        .map_err(|_| ProjectorError::Late("migrating the projection"))?
        .map_err(ProjectorError::Migrate)
}

/// Tries to become the one projector. The lock is held as long as the connection lives, and that is for as
/// long as its owner goes on speaking: PostgreSQL ends the session of one that is frozen.
pub(super) async fn try_own(connection: &mut PgConnection) -> Result<bool, ProjectorError> {
    let owned = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(OWNER_LOCK)
        .fetch_one(&mut *connection)
        .await?;
    if owned {
        for limit in ["idle_session_timeout", "idle_in_transaction_session_timeout"] {
            sqlx::query("SELECT set_config($1, $2, false)")
                .bind(limit)
                .bind(format!("{LEASE_SECONDS}s"))
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(owned)
}

/// Shows PostgreSQL that the owner lives.
pub(super) async fn keep_lease(connection: &mut PgConnection) -> Result<(), ProjectorError> {
    sqlx::query("SELECT 1").execute(connection).await?;
    Ok(())
}

/// For how many seconds the owner has said nothing to PostgreSQL; none when nobody owns the projection, or
/// when it is at work. More than the lease means that it is not what it seems.
pub(super) async fn owner_silence(connection: &mut PgConnection) -> Result<Option<f64>, ProjectorError> {
    let silence = sqlx::query_scalar(
        "SELECT extract(epoch FROM clock_timestamp() - session.state_change)::float8
         FROM pg_locks AS held JOIN pg_stat_activity AS session USING (pid)
         WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
           AND (held.classid::int8 << 32 | held.objid::int8) = $1
           AND session.state <> 'active'",
    )
    .bind(OWNER_LOCK)
    .fetch_optional(connection)
    .await?;
    Ok(silence.flatten())
}

/// Whether an owner with this silence still has its lease.
pub(super) fn is_lively(silence_s: Option<f64>) -> bool {
    silence_s.is_none_or(|silence_s| silence_s <= f64::from(LEASE_SECONDS))
}

/// Drops the projection. A projector that is running finds its positions gone, and folds anew.
pub(super) async fn drop_schema(url: &str) -> Result<(), ProjectorError> {
    let mut connection = open(url).await?;
    sqlx::query("DROP SCHEMA IF EXISTS projection CASCADE")
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}
