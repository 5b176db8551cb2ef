//! Making the tables, and saying who may do what in them.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Executor, PgConnection};

/// A table of its own: other schemas in the same database have migrations too.
const MIGRATIONS_TABLE: &str = "projection._sqlx_migrations";

/// Brings the schema up to date and grants the roles of the processes their rights. Only the owner can.
/// Processes that do so at the same time take turns by an advisory lock.
///
/// # Errors
/// When the database cannot be reached or a migration fails.
pub async fn migrate(connection: &mut PgConnection) -> Result<(), MigrateError> {
    migrator().run_direct(None, &mut *connection, false).await?;
    connection.execute(include_str!("../roles.sql")).await?;
    Ok(())
}

/// Makes sure that the schema is up to date, as somebody who need not be its owner: what the owner has not
/// migrated yet is tried.
///
/// # Errors
/// As [`migrate`], also when this role may not migrate.
pub async fn ensure_current(connection: &mut PgConnection) -> Result<(), MigrateError> {
    if brokerx_database::are_applied(&migrator(), MIGRATIONS_TABLE, connection).await? {
        return Ok(());
    }
    migrate(connection).await
}

fn migrator() -> Migrator {
    let mut migrator = brokerx_database::migrations!(
        "0001_projection.sql",
        "0002_candles.sql",
        "0003_corrections.sql",
        "0004_set_aside.sql",
        "0005_set_aside_records.sql",
        "0006_events_as_text.sql"
    );
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator.create_schema("projection");
    migrator
}
