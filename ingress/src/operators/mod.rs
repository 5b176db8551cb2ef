//! Operators and their API keys, made from the command line with access to the database.

mod command;
mod keys;
mod lifetime;
mod seed;

use anyhow::{Context, ensure};
use brokerx_schemas::{AuthEvent, ClientChanged};
use brokerx_topics::service::clock::now_us;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::clients::email_key;
use crate::outbox::Writer;

pub use command::main;
pub use keys::{KeyRow, list, revoke};
pub use lifetime::Lifetime;
pub use seed::{Listing, seed};

/// An operator with a key that is shown once.
#[derive(Debug, Serialize)]
pub struct Added {
    /// The operator.
    pub client_id: String,
    /// Names the key, to take it back.
    pub key_id: String,
    /// The key for the header `X-API-Key`.
    pub api_key: String,
    /// When the key ends.
    pub expires_at: String,
}

/// Adds an operator, or gives an existing one a further key, which ends after `lifetime`; `by` is who does, for the audit.
///
/// # Errors
/// When the e-mail belongs to a client, or the database fails.
pub async fn add(connection: &mut PgConnection, email: &str, lifetime: Lifetime, by: &str) -> anyhow::Result<Added> {
    ensure!(
        email.contains('@') && email.len() <= 254,
        "{email:?} is not an e-mail address"
    );
    let mut transaction = connection.begin().await?;
    let client_id = operator(&mut transaction, email).await?;
    let key = keys::make(&mut transaction, &client_id, lifetime, by).await?;
    transaction.commit().await?;
    Ok(Added {
        client_id,
        key_id: key.key_id,
        api_key: key.api_key,
        expires_at: key.expires_at,
    })
}

/// The operator with this e-mail, who is added when there is none.
async fn operator(transaction: &mut PgConnection, email: &str) -> anyhow::Result<String> {
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
    let Some(client_id) = inserted else {
        let existing: Option<String> =
            sqlx::query_scalar("SELECT client_id::text FROM clients WHERE email_key = $1 AND role = 'operator'")
                .bind(email_key(email))
                .fetch_optional(&mut *transaction)
                .await?;
        return existing.with_context(|| format!("{email} belongs to a client, who cannot be an operator as well"));
    };
    let added = |event_id| {
        AuthEvent::OperatorAdded(ClientChanged {
            event_id,
            client_id: client_id.clone(),
            account_id: None,
            occurred_us: now_us(),
        })
    };
    Writer::new(&mut *transaction, None)
        .await?
        .auth(&client_id, added)
        .await?;
    Ok(client_id)
}
