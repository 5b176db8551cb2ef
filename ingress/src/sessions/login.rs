//! `POST /api/v1/auth/login` and `/logout`.
//!
//! Neither the answer nor its timing shows whether an e-mail is known: for an unknown one a password is
//! hashed too, and wrong tries are counted too. Only somebody who has the password learns that a client
//! is suspended, or that a registration is not verified; the latter holds for every registration, so that
//! whoever registers an e-mail does not learn from a log-in that it had a client already. Multi-factor authentication would go into [`login`] after the check of
//! the password and before the token.
//!
//! Right passwords are limited too, and before anything is hashed or written: each costs as much as a wrong one. Of
//! the log-ins of a registration that is not verified the first of a window is written to the audit, and how many
//! followed; whoever registers an e-mail could fill it otherwise.
//!
//! A try that has its place runs to its end although its request may have ended: otherwise whoever hangs up
//! in time could try without being counted.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use brokerx_database::row;
use brokerx_identity::tokens::Role;
use brokerx_json::rfc3339;
use brokerx_schemas::LoginOutcome;
use brokerx_topics::service::clock::now_unix_seconds;
use serde::{Deserialize, Serialize};
use tracing::Instrument;

use super::attempts::{Attempt, history};
use super::tries::{Key, Place, Refusal};
use crate::clients::{EMAIL_LENGTH_MAX, email_key};
use crate::gateway::{Caller, RequestContext};
use crate::http::{Body, Problem};
use crate::state::{App, Shared};

/// Log-ins of one client, and tries of one e-mail from one network: at once, and then one in so long.
pub(crate) const RATE: (u32, Duration) = (60, Duration::from_secs(10));
/// Which of the two hashes is that of a registration.
const REGISTRATION: usize = 1;

/// The body of a login.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginBody {
    email: String,
    password: String,
}

/// The answer to a login that succeeded.
#[derive(Debug, Serialize)]
pub struct Session {
    token: String,
    expires_at: String,
}

row! {
    struct ClientRow {
        client_id: String,
        account_id: Option<i64>,
        password_hash: Option<String>,
        role: String,
        status: String,
    }
}

/// Gives a token for an e-mail and its password.
pub async fn login(
    State(app): State<Shared>,
    context: RequestContext,
    Body(body): Body<LoginBody>,
) -> Result<Json<Session>, Problem> {
    if body.email.len() > EMAIL_LENGTH_MAX || body.email.contains(char::is_control) {
        return Err(Problem::invalid_request("email is not an e-mail address"));
    }
    let attempt = Attempt::new(email_key(&body.email), context);
    if let Some(refusal) = app.tries.refused(&attempt.who) {
        return Err(limited(&app, &attempt, refusal).await);
    }
    // By the pair, whatever comes of the try: nobody else can use it up, and it does not tell who is a client.
    if let Err(wait) = app.login_limit.take(&attempt.who) {
        let refusal = app.tries.one_more(Key::Often(attempt.who.clone()), wait);
        return Err(limited(&app, &attempt, refusal).await);
    }
    let history = history(&app.database, &app.tries, &attempt.who).await?;
    let place = match app.tries.enter(&attempt.who, &history).await {
        Ok(place) => place,
        Err(refusal) => return Err(limited(&app, &attempt, refusal).await),
    };
    let whole = async move { attempt_with(&app, attempt, body.password, place).await };
    tokio::spawn(whole.in_current_span())
        .await
        .map_err(Problem::internal)?
        .map(Json)
}

/// 429.
async fn limited(app: &App, attempt: &Attempt, refusal: Refusal) -> Problem {
    app.metrics.rate_limited.inc();
    if let Err(error) = record_first(app, attempt, LoginOutcome::Limited, refusal.first).await {
        tracing::warn!(%error, "that a log-in was refused is not in the audit");
    }
    Problem::too_many(
        "LOGIN_LIMITED",
        "too many tries to log in; Retry-After says when the next one counts",
        refusal.wait,
    )
}

/// The first of a window goes to the audit, the others are only counted.
async fn record_first(app: &App, attempt: &Attempt, outcome: LoginOutcome, first: Option<Key>) -> sqlx::Result<()> {
    let Some(key) = first else { return Ok(()) };
    let recorded = attempt.record(&app.database, outcome).await;
    app.tries.written(&key, recorded.as_ref().ok().copied());
    recorded.map(drop)
}

async fn attempt_with(app: &App, mut attempt: Attempt, password: String, place: Place) -> Result<Session, Problem> {
    let client: Option<ClientRow> = sqlx::query_as(
        "SELECT client_id::text AS client_id, account_id, password_hash, role, status FROM clients WHERE email_key = $1",
    )
    .bind(&attempt.who.email_key)
    .fetch_optional(&app.database)
    .await?;
    let registered: Option<String> = sqlx::query_scalar("SELECT password_hash FROM registrations WHERE email_key = $1")
        .bind(&attempt.who.email_key)
        .fetch_optional(&app.database)
        .await?;
    attempt.client_id = client.as_ref().map(|client| client.client_id.clone());
    let hash = client.as_ref().and_then(|client| client.password_hash.clone());
    let genuine = app.passwords.verify(password, [hash, registered]).await?;
    if genuine == Some(REGISTRATION) {
        attempt.client_id = None;
        let more = app.tries.one_more(Key::Unverified(attempt.who.clone()), Duration::ZERO);
        record_first(app, &attempt, LoginOutcome::NotVerified, more.first).await?;
        return Err(Problem::forbidden(
            "NOT_VERIFIED",
            "the e-mail address is not confirmed yet: use the link in the mail that was sent",
        ));
    }
    let Some(client) = client.filter(|_| genuine.is_some()) else {
        // In the audit first: what is no longer on its way is there for other instances to see.
        let recorded = attempt.record(&app.database, LoginOutcome::WrongCredentials).await;
        place.wrong();
        recorded?;
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "WRONG_CREDENTIALS",
            "the e-mail or the password is wrong",
        ));
    };
    // Right passwords from many networks would fill the audit as well.
    if let Err(wait) = app.login_limit.take(&client.client_id) {
        app.metrics.rate_limited.inc();
        return Err(Problem::too_many(
            "LOGIN_LIMITED",
            "too many log-ins of this client; Retry-After says when to try again",
            wait,
        ));
    }
    let is_active = client.status == "active";
    let outcome = if is_active {
        LoginOutcome::Succeeded
    } else {
        LoginOutcome::NotAllowed
    };
    attempt.record(&app.database, outcome).await?;
    drop(place);
    if !is_active {
        return Err(Problem::forbidden("NOT_ALLOWED", "this client is suspended"));
    }
    app.tries.is_known_now(&attempt.who);
    let role = if client.role == "operator" {
        Role::Operator
    } else {
        Role::Client
    };
    let account_id = client.account_id.map(|id| id.to_string());
    let (token, claims) = app.tokens.issue(
        &client.client_id,
        account_id,
        role,
        now_unix_seconds(),
        app.options.token_seconds,
    );
    Ok(Session {
        token,
        expires_at: rfc3339(claims.exp * 1_000_000),
    })
}
/// Revokes the token that it is called with.
pub async fn logout(State(app): State<Shared>, caller: Caller) -> Result<StatusCode, Problem> {
    let Some((token_id, expires_unix_seconds)) = &caller.token else {
        return Err(Problem::bad_request(
            "NO_TOKEN",
            "an API key cannot be logged out; it is revoked on the command line",
        ));
    };
    sqlx::query(
        "INSERT INTO revoked_tokens (token_id, client_id, expires_at) VALUES ($1::uuid, $2::uuid, to_timestamp($3))
         ON CONFLICT (token_id) DO NOTHING",
    )
    .bind(token_id)
    .bind(&caller.client_id)
    .bind(*expires_unix_seconds as f64)
    .execute(&app.database)
    .await?;
    app.revocations.revoke(token_id);
    Ok(StatusCode::NO_CONTENT)
}
