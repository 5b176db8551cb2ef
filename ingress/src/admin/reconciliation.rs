//! `GET /admin/v1/reconciliation`: whether the projection adds up.

use axum::Json;
use axum::extract::State;
use brokerx_projection::reconciliation::{Report, report};

use crate::gateway::Operator;
use crate::http::Problem;
use crate::state::Shared;

/// All checks, in one snapshot of the database.
pub async fn reconciliation(State(app): State<Shared>, _operator: Operator) -> Result<Json<Report>, Problem> {
    Ok(Json(report(&app.database).await?))
}
