//! The tables and how they came to be.

use sqlx::PgConnection;
use sqlx::migrate::MigrateError;

/// Brings the schema up to date; whoever else does so takes turns by an advisory lock.
///
/// # Errors
/// When the database is away or a migration fails.
pub async fn migrate(connection: &mut PgConnection) -> Result<(), MigrateError> {
    let mut migrator = sqlx::migrate!("./migrations");
    // Apart from the migrations of other schemas in the same database.
    migrator.dangerous_set_table_name("projection._sqlx_migrations");
    migrator.create_schema("projection");
    migrator.run_direct(None, connection, false).await
}
