//! Registrations in the database: begun, made a client, ended. Each change and the outbox records about it
//! are one transaction.
//!
//! Settlement hears of an account only when its client is active. So a registration costs a row and a mail,
//! and both are gone when it ends.

use brokerx_database::row;
use brokerx_identity::links::{REGISTERED_AGAIN, VERIFY_EMAIL};
use brokerx_schemas::{AccountId, AccountState, AuthEvent, ClientChanged, ClientRegistered, MailRequested};
use brokerx_topics::service::clock::now_us;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::outbox::Writer;

/// The version of a new client's status. Settlement may have heard of version 1, a pending account, from an
/// earlier release.
const STATUS_VERSION: i64 = 2;

/// Who registers.
pub(super) struct Registration {
    pub(super) email: String,
    pub(super) email_key: String,
    pub(super) password_hash: String,
    pub(super) name: String,
    pub(super) phone: Option<String>,
    pub(super) date_of_birth: Option<String>,
}

/// What becomes of somebody who uses a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// The client is active from now on; the last event id of the outbox.
    Now(i64),
    /// The client was active already.
    Before,
    /// The registration was replaced, or has ended.
    Never,
}

/// Writes a registration, in place of an older one with the same e-mail, and asks for its mail. When the
/// e-mail is that of a client, the mail tells the client, and nothing else can come of it. Returns the ids of
/// the client and of the account.
pub(super) async fn begin(
    database: &PgPool,
    registration: &Registration,
    link_seconds: i64,
    correlation_id: &str,
) -> sqlx::Result<(String, AccountId)> {
    let client_id = Uuid::new_v4().to_string();
    // Positive, 63 bits. That a random id is taken already is next to impossible; the constraint refuses it.
    let account_id = AccountId(rand::random_range(1..=i64::MAX));
    let mut transaction = database.begin().await?;
    let replaced: Option<(String, i64, bool)> = sqlx::query_as(
        "DELETE FROM registrations WHERE email_key = $1 RETURNING client_id::text, account_id, of_client IS NULL",
    )
    .bind(&registration.email_key)
    .fetch_optional(&mut *transaction)
    .await?;
    let inserted: Option<Option<String>> = sqlx::query_scalar(
        "INSERT INTO registrations (client_id, account_id, email, email_key, password_hash, name, phone, date_of_birth, of_client)
         VALUES ($1::uuid, $2, $3, $4, $5, $6, $7, $8::date, (SELECT client_id FROM clients WHERE email_key = $4))
         ON CONFLICT (email_key) DO NOTHING RETURNING of_client::text",
    )
    .bind(&client_id)
    .bind(account_id.0)
    .bind(&registration.email)
    .bind(&registration.email_key)
    .bind(&registration.password_hash)
    .bind(&registration.name)
    .bind(&registration.phone)
    .bind(&registration.date_of_birth)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(of_client) = inserted else {
        // Another one came in between: it is as if it had come later, and replaced this one.
        return Ok((client_id, account_id));
    };
    let mail_id: i64 = sqlx::query_scalar(
        "INSERT INTO mails (client_id, registration_id, purpose, expires_at)
         VALUES ($1::uuid, $2::uuid, $3, date_trunc('second', now()) + make_interval(secs => $4)) RETURNING mail_id",
    )
    .bind(&of_client)
    .bind(of_client.is_none().then_some(&client_id))
    .bind(if of_client.is_none() {
        VERIFY_EMAIL
    } else {
        REGISTERED_AGAIN
    })
    .bind(link_seconds as f64)
    .fetch_one(&mut *transaction)
    .await?;
    let mut outbox = Writer::new(&mut transaction, Some(correlation_id)).await?;
    if let Some((client_id, account_id, true)) = replaced {
        rejected(&mut outbox, client_id, AccountId(account_id)).await?;
    }
    let key = account_id.to_string();
    let event = |event_id| match &of_client {
        None => AuthEvent::ClientRegistered(ClientRegistered {
            event_id,
            client_id: client_id.clone(),
            account_id,
            mail_id,
            occurred_us: now_us(),
        }),
        Some(of_client) => AuthEvent::MailRequested(MailRequested {
            event_id,
            client_id: of_client.clone(),
            mail_id,
            occurred_us: now_us(),
        }),
    };
    outbox.auth(of_client.as_deref().unwrap_or(&key), event).await?;
    transaction.commit().await?;
    Ok((client_id, account_id))
}

row! {
    struct Found {
        client_id: String,
        account_id: i64,
    }
}

/// Makes a client of the registration that a mail was sent for, once.
pub(super) async fn activate(database: &PgPool, mail_id: i64, correlation_id: &str) -> sqlx::Result<Activation> {
    let mut transaction = database.begin().await?;
    // The lock makes a second click wait for the first; then the row is gone, and the client is there.
    let found: Option<Found> = sqlx::query_as(
        "SELECT registrations.client_id::text AS client_id, account_id
         FROM mails JOIN registrations ON registrations.client_id = registration_id
         WHERE mail_id = $1 AND of_client IS NULL FOR UPDATE OF registrations",
    )
    .bind(mail_id)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(found) = found else {
        return before(&mut transaction, mail_id).await;
    };
    let made = sqlx::query(
        "INSERT INTO clients (client_id, email, email_key, password_hash, name, phone, date_of_birth, account_id, role,
                              status, status_version, created_at)
         SELECT client_id, email, email_key, password_hash, name, phone, date_of_birth, account_id, 'client',
                'active', $2, created_at
         FROM registrations WHERE client_id = $1::uuid
         ON CONFLICT (email_key) DO NOTHING",
    )
    .bind(&found.client_id)
    .bind(STATUS_VERSION)
    .execute(&mut *transaction)
    .await?;
    if made.rows_affected() == 0 {
        // An operator was added with this e-mail. Nothing is committed.
        return Ok(Activation::Never);
    }
    sqlx::query(
        "UPDATE mails SET client_id = registration_id, registration_id = NULL,
                          used_at = CASE WHEN mail_id = $2 THEN now() END
         WHERE registration_id = $1::uuid",
    )
    .bind(&found.client_id)
    .bind(mail_id)
    .execute(&mut *transaction)
    .await?;
    sqlx::query("DELETE FROM registrations WHERE client_id = $1::uuid")
        .bind(&found.client_id)
        .execute(&mut *transaction)
        .await?;
    let account_id = AccountId(found.account_id);
    let mut outbox = Writer::new(&mut transaction, Some(correlation_id)).await?;
    outbox
        .account_status(account_id, AccountState::Active, STATUS_VERSION)
        .await?;
    let verified = |event_id| {
        AuthEvent::ClientVerified(ClientChanged {
            event_id,
            client_id: found.client_id.clone(),
            account_id: Some(account_id),
            occurred_us: now_us(),
        })
    };
    let event_id = outbox.auth(&account_id.to_string(), verified).await?;
    transaction.commit().await?;
    Ok(Activation::Now(event_id))
}

/// What a mail's link is for, without using it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// It would make somebody with this name a client.
    Open(String),
    /// It would change nothing.
    Settled(Activation),
}

/// Looks what a mail's link is for.
pub(super) async fn look(database: &PgPool, mail_id: i64) -> sqlx::Result<Outlook> {
    let mut connection = database.acquire().await?;
    let name: Option<String> = sqlx::query_scalar(
        "SELECT name FROM mails JOIN registrations ON registrations.client_id = registration_id
         WHERE mail_id = $1 AND of_client IS NULL",
    )
    .bind(mail_id)
    .fetch_optional(&mut *connection)
    .await?;
    match name {
        Some(name) => Ok(Outlook::Open(name)),
        None => before(&mut connection, mail_id).await.map(Outlook::Settled),
    }
}

async fn before(connection: &mut PgConnection, mail_id: i64) -> sqlx::Result<Activation> {
    let is_active: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM mails JOIN clients USING (client_id) WHERE mail_id = $1 AND status = 'active')",
    )
    .bind(mail_id)
    .fetch_one(connection)
    .await?;
    Ok(if is_active {
        Activation::Before
    } else {
        Activation::Never
    })
}

/// Ends the oldest registrations of at least this age; returns how many.
pub(super) async fn end_old(connection: &mut PgConnection, age_seconds: i64, most: i64) -> sqlx::Result<usize> {
    use sqlx::Connection as _;
    let mut transaction = connection.begin().await?;
    let ended: Vec<(String, i64, bool)> = sqlx::query_as(
        "DELETE FROM registrations WHERE client_id IN
           (SELECT client_id FROM registrations WHERE created_at <= now() - make_interval(secs => $1)
            ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING client_id::text, account_id, of_client IS NULL",
    )
    .bind(age_seconds as f64)
    .bind(most)
    .fetch_all(&mut *transaction)
    .await?;
    if ended.is_empty() {
        return Ok(0);
    }
    let count = ended.len();
    let mut outbox = Writer::new(&mut transaction, None).await?;
    for (client_id, account_id, is_real) in ended {
        if is_real {
            rejected(&mut outbox, client_id, AccountId(account_id)).await?;
        }
    }
    transaction.commit().await?;
    Ok(count)
}

/// What stays of a registration that ended: its ids in `auth`.
async fn rejected(outbox: &mut Writer<'_>, client_id: String, account_id: AccountId) -> sqlx::Result<i64> {
    let event = |event_id| {
        AuthEvent::ClientRejected(ClientChanged {
            event_id,
            client_id,
            account_id: Some(account_id),
            occurred_us: now_us(),
        })
    };
    outbox.auth(&account_id.to_string(), event).await
}
