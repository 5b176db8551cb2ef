//! `GET /api/v1/clients/verify?token=`: the link of a verification mail.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use brokerx_identity::links::{self, LinkError, VERIFY_EMAIL, VERIFY_REMINDER};
use brokerx_topics::service::clock::now_unix_seconds;
use serde::{Deserialize, Serialize};

use super::status::{StatusChange, change_status};
use crate::gateway::RequestContext;
use crate::http::{Problem, Query};
use crate::outbox;
use crate::state::Shared;

/// How long the answer waits for the new status to reach the log, so that whatever the client sends next
/// comes after it.
const RELAY_LIMIT: Duration = Duration::from_secs(2);

/// The query of the link.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyQuery {
    token: String,
}

/// The answer to a link that worked.
#[derive(Debug, Serialize)]
pub struct Verified {
    status: &'static str,
}

/// Makes the client active, once.
pub async fn verify(
    State(app): State<Shared>,
    context: RequestContext,
    Query(query): Query<VerifyQuery>,
) -> Result<Json<Verified>, Problem> {
    let purposes = [VERIFY_EMAIL, VERIFY_REMINDER];
    let mail_id = links::verify(&app.options.mail_key, &query.token, &purposes, now_unix_seconds()).map_err(
        |error| match error {
            LinkError::Invalid => Problem::bad_request("INVALID_LINK", "the link is not valid"),
            LinkError::Expired => gone("LINK_EXPIRED", "the link has expired"),
        },
    )?;
    let mut transaction = app.database.begin().await?;
    let client_id: Option<String> = sqlx::query_scalar(
        "UPDATE mails SET used_at = now() WHERE mail_id = $1 AND used_at IS NULL RETURNING client_id::text",
    )
    .bind(mail_id)
    .fetch_optional(&mut *transaction)
    .await?;
    let used = || gone("LINK_USED", "the link was used, or the registration has ended");
    let client_id = client_id.ok_or_else(used)?;
    let correlation_id = Some(context.correlation_id());
    let event_id = change_status(&mut transaction, &client_id, StatusChange::Verify, correlation_id).await?;
    // The client is not pending any more: verified through another mail's link, or rejected. Then nothing is
    // committed.
    let event_id = event_id.ok_or_else(used)?;
    transaction.commit().await?;
    outbox::relayed(&app.database, event_id, RELAY_LIMIT).await;
    Ok(Json(Verified { status: "active" }))
}

fn gone(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::GONE, code, detail)
}
