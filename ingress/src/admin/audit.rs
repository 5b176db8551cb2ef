//! The audit of what operators do: a row before the action, completed after it.
//!
//! An action runs to its end by itself. When its HTTP connection ends, or the answer has to be given
//! before there is an outcome, the action goes on and its row is completed from the outcome all the same.

use std::future::Future;
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use brokerx_topics::service::backoff;
use serde_json::Value;
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::gateway::{Operator, Refused, RequestContext};
use crate::http::Problem;
use crate::state::Shared;

/// How long the database may be away before a row stays incomplete.
const COMPLETION_LIMIT: Duration = Duration::from_secs(60);

/// An operator's request: who asks for it, under which correlation id.
#[derive(Clone)]
pub struct Audit {
    pub(super) app: Shared,
    pub(super) operator: Operator,
    pub(super) context: RequestContext,
}

/// What an operator asks for, as the row tells it.
pub(super) struct Action {
    /// Its name.
    pub(super) name: &'static str,
    /// The symbol, account id or client id acted on.
    pub(super) target: String,
    /// The key that the operator gave it.
    pub(super) idempotency_key: Option<String>,
    /// The rest of the request.
    pub(super) request: Value,
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
    ///
    /// All of it goes on when the request ends. When there is no outcome within the limit of a reply, the
    /// answer is `late`, while the action goes on.
    ///
    /// # Errors
    /// 503 when nothing was begun, else what the action or `late` says.
    pub(super) async fn around(
        &self,
        action: Action,
        late: impl FnOnce() -> Result<Response, Problem>,
        act: impl Future<Output = Result<Response, Problem>> + Send + 'static,
    ) -> Result<Response, Problem> {
        let place = self.app.in_flight.enter()?;
        let (sender, receiver) = oneshot::channel();
        let audit = self.clone();
        let whole = async move {
            let _place = place;
            audit.carry_out(action, act, sender).await;
        };
        tokio::spawn(whole.in_current_span());
        match tokio::time::timeout(self.app.options.reply_limit(), receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Problem::internal("an operator's command ended without an outcome")),
            Err(_) => late(),
        }
    }

    async fn carry_out(
        &self,
        action: Action,
        act: impl Future<Output = Result<Response, Problem>>,
        answer: oneshot::Sender<Result<Response, Problem>>,
    ) {
        let audit_id = match self.begin(&action).await {
            Ok(audit_id) => audit_id,
            // The request may have ended: then nobody takes the answer.
            Err(error) => return drop(answer.send(Err(error.into()))),
        };
        let result = act.await;
        let outcome = outcome_of(&result);
        tracing::info!(
            action = action.name,
            target = action.target,
            outcome,
            operator = self.operator.client_id,
            "an operator acted"
        );
        let completed = self.complete(audit_id, &outcome).await;
        drop(answer.send(result));
        if let Err(error) = completed {
            self.complete_later(audit_id, &outcome, error).await;
        }
    }

    async fn begin(&self, action: &Action) -> sqlx::Result<i64> {
        sqlx::query_scalar(
            "INSERT INTO operator_audit (operator, action, target, request, idempotency_key, correlation_id)
             VALUES ($1::uuid, $2, $3, $4, $5, $6) RETURNING audit_id",
        )
        .bind(&self.operator.client_id)
        .bind(action.name)
        .bind(&action.target)
        .bind(sqlx::types::Json(&action.request))
        .bind(&action.idempotency_key)
        .bind(self.context.correlation_id())
        .fetch_one(&self.app.database)
        .await
    }

    async fn complete(&self, audit_id: i64, outcome: &str) -> sqlx::Result<()> {
        sqlx::query("UPDATE operator_audit SET outcome = $2, finished_at = now() WHERE audit_id = $1")
            .bind(audit_id)
            .bind(outcome)
            .execute(&self.app.database)
            .await?;
        Ok(())
    }

    /// The action was done all the same, so its row waits for the database, up to a limit.
    async fn complete_later(&self, audit_id: i64, outcome: &str, mut error: sqlx::Error) {
        let end = Instant::now() + COMPLETION_LIMIT;
        let mut pause = backoff();
        while Instant::now() < end {
            tokio::time::sleep(pause.next()).await;
            match self.complete(audit_id, outcome).await {
                Ok(()) => return,
                Err(again) => error = again,
            }
        }
        tracing::error!(%error, audit_id, outcome, "a row of the audit stays incomplete");
    }
}

fn outcome_of(result: &Result<Response, Problem>) -> String {
    let outcome = match result {
        Ok(response) if response.status() == StatusCode::ACCEPTED => "pending",
        Ok(response) if response.status() == StatusCode::MULTI_STATUS => "partly_done",
        Ok(_) => "done",
        Err(problem) => problem.code(),
    };
    outcome.to_owned()
}
