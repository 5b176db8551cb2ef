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

/// Brings the schema up to date.
pub(super) async fn migrate(connection: &mut PgConnection) -> Result<(), ProjectorError> {
    timeout(MIGRATE_LIMIT, brokerx_projection::migrate(connection))
        .await
        .map_err(|_| ProjectorError::Late("migrating the projection"))?
        .map_err(ProjectorError::Migrate)
}

/// Tries to become the one projector; held as long as the connection lives.
pub(super) async fn try_own(connection: &mut PgConnection) -> Result<bool, ProjectorError> {
    let owned = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(OWNER_LOCK)
        .fetch_one(connection)
        .await?;
    Ok(owned)
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
