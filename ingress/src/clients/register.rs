//! `POST /api/v1/clients/register`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use brokerx_identity::links::VERIFY_EMAIL;
use brokerx_schemas::{AccountId, AccountState, AuthEvent, ClientRegistered};
use brokerx_topics::service::clock::now_us;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rules::{check_email, check_password, check_person, email_key};
use crate::gateway::RequestContext;
use crate::http::{Body, FieldError, Problem};
use crate::outbox::Writer;
use crate::state::{App, Shared};

/// The body of a registration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterBody {
    email: String,
    password: String,
    name: String,
    phone: Option<String>,
    date_of_birth: Option<String>,
}

/// The answer to a registration.
#[derive(Debug, Serialize)]
pub struct Registered {
    client_id: String,
    account_id: String,
    status: &'static str,
}

/// Registers a client, whose account starts at 0 and trades once the mailed link was opened.
pub async fn register(
    State(app): State<Shared>,
    context: RequestContext,
    Body(body): Body<RegisterBody>,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    let errors = check(&body);
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    // Looked up first because hashing is expensive; the constraint below is what decides.
    let taken: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM clients WHERE email_key = $1)")
        .bind(email_key(&body.email))
        .fetch_one(&app.database)
        .await?;
    if taken {
        return Err(email_taken());
    }
    let password_hash = app.passwords.hash(body.password.clone()).await?;
    let registered = insert(&app, &context, &body, &password_hash).await.map_err(|error| {
        let constraint = error.as_database_error().and_then(|error| error.constraint());
        if constraint == Some("clients_email_key_key") {
            email_taken()
        } else {
            error.into()
        }
    })?;
    Ok((StatusCode::CREATED, Json(registered)))
}

fn check(body: &RegisterBody) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check_email(&body.email, &mut errors);
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    check_person(
        &body.name,
        body.phone.as_deref(),
        body.date_of_birth.as_deref(),
        today,
        &mut errors,
    );
    check_password(&body.password, &mut errors);
    errors
}

fn email_taken() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "EMAIL_TAKEN",
        "there is a client with this e-mail address",
    )
}

/// Writes the client, its mail and the outbox records about it in one transaction.
async fn insert(
    app: &App,
    context: &RequestContext,
    body: &RegisterBody,
    password_hash: &str,
) -> sqlx::Result<Registered> {
    let client_id = Uuid::new_v4().to_string();
    // Positive, 63 bits. That a random id is taken already is next to impossible; the constraint refuses it.
    let account_id = AccountId(rand::random_range(1..=i64::MAX));
    let mut transaction = app.database.begin().await?;
    sqlx::query(
        "INSERT INTO clients (client_id, email, email_key, password_hash, name, phone, date_of_birth, account_id, role, status)
         VALUES ($1::uuid, $2, $3, $4, $5, $6, $7::date, $8, 'client', 'pending')",
    )
    .bind(&client_id)
    .bind(&body.email)
    .bind(email_key(&body.email))
    .bind(password_hash)
    .bind(&body.name)
    .bind(&body.phone)
    .bind(&body.date_of_birth)
    .bind(account_id.0)
    .execute(&mut *transaction)
    .await?;
    let mail_id: i64 = sqlx::query_scalar(
        "INSERT INTO mails (client_id, purpose, expires_at)
         VALUES ($1::uuid, $2, date_trunc('second', now()) + make_interval(secs => $3)) RETURNING mail_id",
    )
    .bind(&client_id)
    .bind(VERIFY_EMAIL)
    .bind(app.options.link_seconds as f64)
    .fetch_one(&mut *transaction)
    .await?;
    let mut outbox = Writer::new(&mut transaction, Some(context.correlation_id())).await?;
    outbox.account_status(account_id, AccountState::Pending, 1).await?;
    let registered = |event_id| {
        AuthEvent::ClientRegistered(ClientRegistered {
            event_id,
            client_id: client_id.clone(),
            account_id,
            mail_id,
            occurred_us: now_us(),
        })
    };
    outbox.auth(&account_id.to_string(), registered).await?;
    transaction.commit().await?;
    Ok(Registered {
        client_id,
        account_id: account_id.to_string(),
        status: "pending",
    })
}
