//! Operators and their API keys, made from the command line with access to the database.

mod command;
mod seed;

use anyhow::{Context, ensure};
use brokerx_identity::api_keys;
use brokerx_schemas::{AuthEvent, ClientChanged};
use brokerx_topics::service::clock::now_us;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::clients::email_key;
use crate::gateway::Scope;
use crate::outbox::Writer;

pub use command::main;
pub use seed::{Listing, seed};

/// An operator with a key that is shown once.
#[derive(Debug, Serialize)]
pub struct Added {
    /// The operator.
    pub client_id: String,
    /// The key for the header `X-API-Key`.
    pub api_key: String,
}

/// Adds an operator, or gives an existing one a further key.
///
/// # Errors
/// When the e-mail belongs to a client, or the database fails.
pub async fn add(connection: &mut PgConnection, email: &str) -> anyhow::Result<Added> {
    ensure!(
        email.contains('@') && email.len() <= 254,
        "{email:?} is not an e-mail address"
    );
    let mut transaction = connection.begin().await?;
    let client_id = Uuid::new_v4().to_string();
    let inserted: Option<String> = sqlx::query_scalar(
        "INSERT INTO clients (client_id, email, email_key, name, role, status) VALUES ($1::uuid, $2, $3, $2, 'operator', 'active')
         ON CONFLICT (email_key) DO NOTHING RETURNING client_id::text",
    )
    .bind(&client_id)
    .bind(email)
    .bind(email_key(email))
    .fetch_optional(&mut *transaction)
    .await?;
    let client_id = match inserted {
        Some(client_id) => {
            let added = |event_id| {
                AuthEvent::OperatorAdded(ClientChanged {
                    event_id,
                    client_id: client_id.clone(),
                    account_id: None,
                    occurred_us: now_us(),
                })
            };
            Writer::new(&mut transaction, None)
                .await?
                .auth(&client_id, added)
                .await?;
            client_id
        }
        None => {
            let existing: Option<String> =
                sqlx::query_scalar("SELECT client_id::text FROM clients WHERE email_key = $1 AND role = 'operator'")
                    .bind(email_key(email))
                    .fetch_optional(&mut *transaction)
                    .await?;
            existing.with_context(|| format!("{email} belongs to a client, who cannot be an operator as well"))?
        }
    };
    let api_key = api_keys::generate();
    sqlx::query(
        "INSERT INTO api_keys (key_id, client_id, name, key_hash, scopes) VALUES ($1::uuid, $2::uuid, 'command line', $3, $4)",
    )
    .bind(Uuid::new_v4().to_string())
    .bind(&client_id)
    .bind(api_keys::hash(api_key.as_bytes()))
    .bind(vec![Scope::Read.name(), Scope::Operate.name()])
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Added { client_id, api_key })
}

/// Deletes a key, which is refused from then on.
///
/// # Errors
/// When the database fails.
pub async fn delete_key(connection: &mut PgConnection, api_key: &str) -> anyhow::Result<()> {
    sqlx::query("DELETE FROM api_keys WHERE key_hash = $1")
        .bind(api_keys::hash(api_key.as_bytes()))
        .execute(connection)
        .await?;
    Ok(())
}
