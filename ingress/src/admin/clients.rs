//! Suspending and reinstating clients.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

use super::audit::{Action, Audit};
use crate::clients::{StatusChange, change_status};
use crate::http::Problem;

/// `POST /admin/v1/clients/{client_id}/suspend`: no login, no token, no trading.
pub async fn suspend(audit: Audit, Path(id): Path<String>) -> Result<Response, Problem> {
    change(&audit, &id, StatusChange::Suspend).await
}

/// `POST /admin/v1/clients/{client_id}/reinstate`.
pub async fn reinstate(audit: Audit, Path(id): Path<String>) -> Result<Response, Problem> {
    change(&audit, &id, StatusChange::Reinstate).await
}

/// Doing it again changes nothing and answers the same.
async fn change(audit: &Audit, id: &str, change: StatusChange) -> Result<Response, Problem> {
    let client_id = id.parse::<Uuid>().map_err(|_| not_found())?.to_string();
    let suspend = change == StatusChange::Suspend;
    let (name, wanted) = if suspend {
        ("suspend", "suspended")
    } else {
        ("reinstate", "active")
    };
    let action = Action {
        name,
        target: client_id.clone(),
        idempotency_key: None,
        request: json!({}),
    };
    let audit_of_act = audit.clone();
    let act = async move {
        let audit = audit_of_act;
        let mut transaction = audit.app.database.begin().await?;
        let correlation_id = Some(audit.context.correlation_id());
        let changed = change_status(&mut transaction, &client_id, change, correlation_id).await?;
        transaction.commit().await?;
        if changed.is_none() {
            let status: Option<String> =
                sqlx::query_scalar("SELECT status FROM clients WHERE client_id = $1::uuid AND role = 'client'")
                    .bind(&client_id)
                    .fetch_optional(&audit.app.database)
                    .await?;
            let status = status.ok_or_else(not_found)?;
            if status != wanted {
                let problem = Problem::new(
                    StatusCode::CONFLICT,
                    "STATUS_CONFLICT",
                    "the client's status does not allow this; it is named in the field status",
                );
                return Err(problem.with("status", status));
            }
        }
        audit.app.revocations.block(&client_id, suspend);
        Ok(Json(json!({ "client_id": client_id, "status": wanted }))
            .into_response()
            .into())
    };
    audit.around(action, || Err(late()), act).await
}

fn late() -> Problem {
    Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        "REQUEST_TIMEOUT",
        "the change took too long; its outcome is not known, and it may be asked for again",
    )
}

fn not_found() -> Problem {
    Problem::not_found("there is no such client")
}
