//! Making the tables.

use sqlx::PgConnection;
use sqlx::migrate::MigrateError;

/// Brings the schema up to date. Processes that do so at the same time take turns by an advisory lock.
///
/// # Errors
/// When the database cannot be reached or a migration fails.
pub async fn migrate(connection: &mut PgConnection) -> Result<(), MigrateError> {
    let mut migrator = brokerx_database::migrations!("0001_projection.sql", "0002_candles.sql", "0003_corrections.sql");
    // A table of its own: other schemas in the same database have migrations too.
    migrator.dangerous_set_table_name("projection._sqlx_migrations");
    migrator.create_schema("projection");
    migrator.run_direct(None, connection, false).await
}
