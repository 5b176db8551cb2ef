//! The connection to PostgreSQL and the migrations of the schema `identity`.

use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use brokerx_topics::service::{Check, Shutdown, backoff};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool};

/// How long a request waits for a connection.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(2);

/// Serializes the creation of the schema; the migrations take a lock of their own.
const SCHEMA_LOCK: i64 = 0x6272_6f6b_6572_0001;

/// Where it is noted which migrations were done.
const MIGRATIONS_TABLE: &str = "identity._sqlx_migrations";

/// How connections are made: unqualified names mean the schema `identity`, and a statement that takes
/// more than 5 s is cancelled.
///
/// # Errors
/// When the URL is not valid.
pub fn connect_options(url: &str) -> anyhow::Result<PgConnectOptions> {
    Ok(PgConnectOptions::from_str(url)
        .context("the database URL is not valid")?
        .application_name("brokerx-ingress")
        .options([("search_path", "identity"), ("statement_timeout", "5000")]))
}

/// A pool that connects when it is first used, so that the process starts without a database.
pub fn pool(options: PgConnectOptions, connections_max: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_LIMIT)
        .idle_timeout(Duration::from_secs(60))
        .connect_lazy_with(options)
}

/// Brings the schema `identity` up to date and grants the roles of the processes their rights. Only the
/// owner can.
///
/// # Errors
/// When the database cannot be reached or a migration fails.
pub async fn migrate(options: &PgConnectOptions) -> anyhow::Result<()> {
    let mut connection = connect(options).await?;
    migrate_by(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Makes sure that the schema is up to date, as somebody who need not be its owner: what the owner has not
/// migrated yet is tried.
///
/// # Errors
/// As [`migrate`], also when this role may not migrate.
pub async fn ensure_current(options: &PgConnectOptions) -> anyhow::Result<()> {
    let mut connection = connect(options).await?;
    if !brokerx_database::are_applied(&migrator(), MIGRATIONS_TABLE, &mut connection).await? {
        migrate_by(&mut connection)
            .await
            .context("the schema identity is not up to date: let its owner run `brokerx-operator migrate`")?;
    }
    connection.close().await?;
    Ok(())
}

async fn connect(options: &PgConnectOptions) -> anyhow::Result<PgConnection> {
    PgConnection::connect_with(options)
        .await
        .context("the database cannot be reached")
}

async fn migrate_by(connection: &mut PgConnection) -> anyhow::Result<()> {
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(SCHEMA_LOCK)
        .execute(&mut *transaction)
        .await?;
    transaction.execute("CREATE SCHEMA IF NOT EXISTS identity").await?;
    transaction.commit().await?;
    // Not `run`: its future is not `Send` for a connection of its own.
    migrator()
        .run_direct(None, &mut *connection, false)
        .await
        .context("a migration of the schema identity failed")?;
    connection
        .execute(include_str!("../roles.sql"))
        .await
        .context("the roles of the schema identity cannot be given their rights")?;
    Ok(())
}

fn migrator() -> Migrator {
    brokerx_database::migrations!(
        "0001_identity.sql",
        "0002_keys_of_audited_requests.sql",
        "0003_limits_of_login.sql",
        "0004_registrations.sql",
        "0005_ends_of_api_keys.sql",
        "0006_reading_what_is_new.sql"
    )
}

/// Waits until the schema is up to date, and migrates when that is this process's to do. From then on `check` stays true even when the
/// database goes away, because trading goes on without it.
pub async fn ensure_current_when_reachable(options: PgConnectOptions, check: Check, shutdown: Shutdown) {
    let mut pause = backoff();
    loop {
        match ensure_current(&options).await {
            Ok(()) => return check.set(true, "the schema is up to date"),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the schema identity is not up to date yet"
                );
                check.set(false, &format!("{error:#}"));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause.next()) => {}
            () = shutdown.requested() => return,
        }
    }
}
