//! `POST /api/v1/clients/register`.
//!
//! The answer is the same for an e-mail that is known: whoever registers learns nothing, its owner gets a
//! mail. Nobody can take an e-mail by registering it: a newer registration takes the place of an older one,
//! and which of them becomes a client is decided by whoever reads the mail.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::registrations::{self, Registration};
use super::rules::{check_email, check_password, check_person, email_key};
use crate::gateway::RequestContext;
use crate::http::{Body, FieldError, Problem};
use crate::state::Shared;

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

/// Registers somebody, who becomes a client with an account once the mailed link was used.
pub async fn register(
    State(app): State<Shared>,
    context: RequestContext,
    Body(body): Body<RegisterBody>,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    let errors = check(&body);
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    let email_key = email_key(&body.email);
    // Before the password is hashed, which is expensive.
    if let Err(refusal) = app.registration_limits.admit(context.network(), &email_key) {
        app.metrics.rate_limited.inc();
        return Err(refusal);
    }
    let password_hash = app.registration_passwords.hash(body.password).await?;
    let registration = Registration {
        email: body.email,
        email_key,
        password_hash,
        name: body.name,
        phone: body.phone,
        date_of_birth: body.date_of_birth,
    };
    let (client_id, account_id) = registrations::begin(
        &app.database,
        &registration,
        app.options.link_seconds,
        context.correlation_id(),
    )
    .await?;
    let registered = Registered {
        client_id,
        account_id: account_id.to_string(),
        status: "pending",
    };
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
