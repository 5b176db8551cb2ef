//! The API keys of operators: made, listed, taken back. Each request looks its key up, so what is decided
//! here holds for the next one.

use brokerx_database::row;
use brokerx_identity::api_keys;
use brokerx_json::rfc3339;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::lifetime::Lifetime;
use crate::clients::email_key;
use crate::gateway::Scope;

/// A new key.
pub(super) struct Made {
    pub(super) key_id: String,
    pub(super) api_key: String,
    pub(super) expires_at: String,
}

/// Makes a key of an operator, and audits who did.
pub(super) async fn make(
    connection: &mut PgConnection,
    client_id: &str,
    lifetime: Lifetime,
    by: &str,
) -> sqlx::Result<Made> {
    let (key_id, api_key) = (Uuid::new_v4().to_string(), api_keys::generate());
    let expires_us: i64 = sqlx::query_scalar(
        "WITH made AS (
             INSERT INTO api_keys (key_id, client_id, name, key_hash, scopes, expires_at)
             VALUES ($1::uuid, $2::uuid, 'command line', $3, $4, now() + make_interval(secs => $5))
             RETURNING key_id, client_id, expires_at),
         audited AS (
             INSERT INTO operator_audit (operator, action, target, request, correlation_id, outcome, finished_at)
             SELECT client_id, 'add_key', key_id::text, jsonb_build_object('by', $6::text, 'expires_at', expires_at),
                    gen_random_uuid()::text, 'done', now() FROM made)
         SELECT (extract(epoch FROM expires_at) * 1000000)::bigint FROM made",
    )
    .bind(&key_id)
    .bind(client_id)
    .bind(api_keys::hash(api_key.as_bytes()))
    .bind(vec![Scope::Read.name(), Scope::Operate.name()])
    .bind(lifetime.seconds() as f64)
    .bind(by)
    .fetch_one(connection)
    .await?;
    Ok(Made {
        key_id,
        api_key,
        expires_at: rfc3339(expires_us),
    })
}

row! {
    struct Row {
        key_id: String,
        client_id: String,
        email: String,
        name: String,
        scopes: Vec<String>,
        state: String,
        created_us: i64,
        expires_us: i64,
        revoked_us: Option<i64>,
    }
}

/// A key as it is listed: nothing of the key itself, of which only a hash is stored.
#[derive(Debug, Serialize)]
pub struct KeyRow {
    /// Names the key.
    pub key_id: String,
    /// Whose it is.
    pub client_id: String,
    /// The operator's e-mail address.
    pub email: String,
    /// Where it was made.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// `live`, `expired` or `revoked`.
    pub state: String,
    /// When it was made.
    pub created_at: String,
    /// When it ends, or ended, by itself.
    pub expires_at: String,
    /// When it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
}

/// The keys of operators, oldest first: those that are live, or all that are still stored.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection, all: bool) -> sqlx::Result<Vec<KeyRow>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT key_id::text AS key_id, client_id::text AS client_id, email, api_keys.name AS name, scopes, state,
                (extract(epoch FROM api_keys.created_at) * 1000000)::bigint AS created_us,
                (extract(epoch FROM expires_at) * 1000000)::bigint AS expires_us,
                (extract(epoch FROM revoked_at) * 1000000)::bigint AS revoked_us
         FROM api_keys JOIN clients USING (client_id),
              LATERAL (SELECT CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
                                   WHEN expires_at <= now() THEN 'expired' ELSE 'live' END AS state) AS judged
         WHERE role = 'operator' AND ($1 OR state = 'live')
         ORDER BY api_keys.created_at, key_id",
    )
    .bind(all)
    .fetch_all(connection)
    .await?;
    let key = |row: Row| KeyRow {
        key_id: row.key_id,
        client_id: row.client_id,
        email: row.email,
        name: row.name,
        scopes: row.scopes,
        state: row.state,
        created_at: rfc3339(row.created_us),
        expires_at: rfc3339(row.expires_us),
        revoked_at: row.revoked_us.map(rfc3339),
    };
    Ok(rows.into_iter().map(key).collect())
}

/// Takes back a key by its id, or all live keys of the operator with an e-mail address, and audits who did. Returns the
/// ids of those that were live.
///
/// # Errors
/// When the database fails.
pub async fn revoke(connection: &mut PgConnection, key_id_or_email: &str, by: &str) -> sqlx::Result<Vec<String>> {
    let key_id = key_id_or_email.parse::<Uuid>().ok().map(|id| id.to_string());
    sqlx::query_scalar(
        "WITH revoked AS (
             UPDATE api_keys SET revoked_at = now() FROM clients
             WHERE clients.client_id = api_keys.client_id AND role = 'operator'
               AND revoked_at IS NULL AND expires_at > now()
               AND (key_id = $1::uuid OR ($1 IS NULL AND email_key = $2))
             RETURNING key_id, api_keys.client_id),
         audited AS (
             INSERT INTO operator_audit (operator, action, target, request, correlation_id, outcome, finished_at)
             SELECT client_id, 'revoke_key', key_id::text, jsonb_build_object('by', $3::text),
                    gen_random_uuid()::text, 'done', now() FROM revoked)
         SELECT key_id::text FROM revoked",
    )
    .bind(key_id)
    .bind(email_key(key_id_or_email))
    .bind(by)
    .fetch_all(connection)
    .await
}
