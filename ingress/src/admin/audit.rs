//! The audit of what operators do: a row before the action, completed after it.

use std::future::Future;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Serialize;

use crate::gateway::{Operator, Refused, RequestContext};
use crate::http::Problem;
use crate::state::Shared;

/// An operator's request: who asks for it, under which correlation id.
pub struct Audit {
    pub(super) app: Shared,
    pub(super) operator: Operator,
    pub(super) context: RequestContext,
}

impl FromRequestParts<Shared> for Audit {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refused> {
        let operator = Operator::from_request_parts(parts, app).await?;
        let Ok(context) = RequestContext::from_request_parts(parts, app).await;
        Ok(Self {
            app: Shared::clone(app),
            operator,
            context,
        })
    }
}

impl Audit {
    /// Writes the row, does the action, completes the row. Without a database the action is not done.
    pub(super) async fn around(
        &self,
        action: &'static str,
        target: &str,
        request: &impl Serialize,
        act: impl Future<Output = Result<Response, Problem>>,
    ) -> Result<Response, Problem> {
        let audit_id: i64 = sqlx::query_scalar(
            "INSERT INTO operator_audit (operator, action, target, request, correlation_id)
             VALUES ($1::uuid, $2, $3, $4, $5) RETURNING audit_id",
        )
        .bind(&self.operator.client_id)
        .bind(action)
        .bind(target)
        .bind(sqlx::types::Json(request))
        .bind(self.context.correlation_id())
        .fetch_one(&self.app.database)
        .await?;
        let result = act.await;
        let outcome = match &result {
            Ok(response) if response.status() == StatusCode::ACCEPTED => "pending",
            Ok(_) => "done",
            Err(problem) => problem.code(),
        };
        tracing::info!(
            action,
            target,
            outcome,
            operator = self.operator.client_id,
            "an operator acted"
        );
        let completed = sqlx::query("UPDATE operator_audit SET outcome = $2, finished_at = now() WHERE audit_id = $1")
            .bind(audit_id)
            .bind(outcome)
            .execute(&self.app.database)
            .await;
        // The action was done all the same; its row says only that it was begun.
        if let Err(error) = completed {
            tracing::error!(%error, audit_id, outcome, "a row of the audit stays incomplete");
        }
        result
    }
}
