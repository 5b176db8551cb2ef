//! A database of an earlier release, brought up to date.

use anyhow::{Context, ensure};
use brokerx_e2e::fixture::Fixture;
use sqlx::{Connection, PgConnection};

/// The schema as it was when registrations were clients and keys had no end.
const BEFORE: [&str; 1] = [include_str!("../../../identity/migrations/0001_identity.sql")];
const SINCE: [&str; 4] = [
    include_str!("../../../identity/migrations/0002_keys_of_audited_requests.sql"),
    include_str!("../../../identity/migrations/0003_limits_of_login.sql"),
    include_str!("../../../identity/migrations/0004_registrations.sql"),
    include_str!("../../../identity/migrations/0005_ends_of_api_keys.sql"),
];

/// Three clients and an operator, with what belongs to each.
const PEOPLE: &str = "
INSERT INTO clients (client_id, email, email_key, password_hash, name, account_id, role, status, status_version) VALUES
  ('00000000-0000-4000-8000-000000000001', 'A@example.com', 'a@example.com', 'h', 'Active', 1, 'client', 'active', 2),
  ('00000000-0000-4000-8000-000000000002', 'P@example.com', 'p@example.com', 'h', 'Pending', 2, 'client', 'pending', 1),
  ('00000000-0000-4000-8000-000000000003', 'R@example.com', 'r@example.com', 'h', 'Rejected', 3, 'client', 'rejected', 2);
INSERT INTO clients (client_id, email, email_key, name, role, status) VALUES
  ('00000000-0000-4000-8000-000000000004', 'o@example.com', 'o@example.com', 'Operator', 'operator', 'active');
INSERT INTO mails (client_id, purpose, expires_at)
  SELECT client_id, 'VERIFY_EMAIL', date_trunc('second', now()) FROM clients WHERE role = 'client';
INSERT INTO login_attempts (email_key, client_id, address, outcome)
  SELECT email_key, client_id, '203.0.113.1', 'WRONG_CREDENTIALS' FROM clients;
INSERT INTO api_keys (key_id, client_id, name, key_hash, scopes) VALUES
  ('00000000-0000-4000-8000-000000000005', '00000000-0000-4000-8000-000000000004', 'k', sha256('k'), '{operate}');
";

pub async fn an_older_database_keeps_its_people(fixture: &Fixture) -> anyhow::Result<()> {
    let name = fixture.unique("migrated");
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&fixture.database)
        .await?;
    let url = fixture.system().platform().database_url();
    let (server, _) = url.rsplit_once('/').context("a URL without a database")?;
    let mut database = PgConnection::connect(&format!("{server}/{name}")).await?;
    for sql in BEFORE {
        sqlx::raw_sql(sql).execute(&mut database).await?;
    }
    sqlx::raw_sql(PEOPLE).execute(&mut database).await?;
    for sql in SINCE {
        let mut transaction = database.begin().await?;
        sqlx::raw_sql(sql).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    let mut one = async |query: &'static str| -> anyhow::Result<String> {
        Ok(sqlx::query_scalar(query).fetch_one(&mut database).await?)
    };
    let clients = "SELECT string_agg(name, ' ' ORDER BY name) FROM clients";
    ensure!(one(clients).await? == "Active Operator");
    let registrations = "SELECT string_agg(name || ' ' || account_id, ' ') FROM registrations WHERE of_client IS NULL";
    ensure!(one(registrations).await? == "Pending 2");
    let mails = "SELECT count(client_id)::text || count(registration_id)::text FROM mails";
    ensure!(one(mails).await? == "11");
    ensure!(one("SELECT count(*)::text FROM login_attempts WHERE client_id IS NOT NULL").await? == "4");
    ensure!(one("SELECT (expires_at > now() + interval '89 days')::text FROM api_keys").await? == "true");
    Ok(())
}
