//! The audit of what operators do: a row before the action, completed after it.
//!
//! An action runs to its end by itself. When its HTTP connection ends, or the answer has to be given
//! before there is an outcome, the action goes on and its row is completed from the outcome all the same.
//! What has no outcome within its time is `pending` in the row, until the outcome comes to this process after all.

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

use super::acted::{Acted, LaterAnswer};
use crate::gateway::{Operator, Refused, RequestContext};
use crate::http::Problem;
use crate::state::Shared;

/// How long the database may be away before a row stays incomplete.
const COMPLETION_LIMIT: Duration = Duration::from_secs(60);
/// The outcome in the row of what has none yet.
const PENDING: &str = "pending";

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
        act: impl Future<Output = Result<Acted, Problem>> + Send + 'static,
    ) -> Result<Response, Problem> {
        let place = self.app.in_flight.enter()?;
        let (sender, receiver) = oneshot::channel();
        let audit = self.clone();
        let whole = async move {
            let late = audit.carry_out(&action, act, sender).await;
            // What may come in an hour takes no place from what is asked for now.
            drop(place);
            if let Some((audit_id, later)) = late {
                audit.complete_from(audit_id, &action, later).await;
            }
        };
        tokio::spawn(whole.in_current_span());
        match tokio::time::timeout(self.app.options.reply_limit(), receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Problem::internal("an operator's command ended without an outcome")),
            Err(_) => late(),
        }
    }

    /// Returns the row and what may still come of the action, if its outcome is late.
    async fn carry_out(
        &self,
        action: &Action,
        act: impl Future<Output = Result<Acted, Problem>>,
        answer: oneshot::Sender<Result<Response, Problem>>,
    ) -> Option<(i64, LaterAnswer)> {
        let audit_id = match self.begin(action).await {
            Ok(audit_id) => audit_id,
            Err(error) => {
                // The request may have ended: then nobody takes the answer.
                drop(answer.send(Err(error.into())));
                return None;
            }
        };
        let (result, later) = match act.await {
            Ok(Acted { response, later }) => (Ok(response), later),
            Err(problem) => (Err(problem), None),
        };
        let outcome = outcome_of(&result);
        self.tell(action, &outcome);
        let completed = self.complete(audit_id, &outcome).await;
        drop(answer.send(result));
        if let Err(error) = completed {
            self.complete_later(audit_id, &outcome, error).await;
        }
        later.map(|later| (audit_id, later))
    }

    /// Completes a row once more, from an outcome that came late.
    async fn complete_from(&self, audit_id: i64, action: &Action, later: LaterAnswer) {
        let outcome = later.await.map(|result| outcome_of(&result));
        // Of several outcomes one may be forgotten.
        let Some(outcome) = outcome.filter(|outcome| outcome != PENDING) else {
            return tracing::warn!(action = action.name, audit_id, "the outcome of an action stays unknown");
        };
        self.tell(action, &outcome);
        if let Err(error) = self.complete(audit_id, &outcome).await {
            self.complete_later(audit_id, &outcome, error).await;
        }
    }

    fn tell(&self, action: &Action, outcome: &str) {
        tracing::info!(
            action = action.name,
            target = action.target,
            outcome,
            operator = self.operator.client_id,
            "an operator acted"
        );
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

    /// An outcome that is known already stays.
    async fn complete(&self, audit_id: i64, outcome: &str) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE operator_audit SET outcome = $2, finished_at = now()
             WHERE audit_id = $1 AND (outcome IS NULL OR outcome = $3)",
        )
        .bind(audit_id)
        .bind(outcome)
        .bind(PENDING)
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
        Ok(response) if response.status() == StatusCode::ACCEPTED => PENDING,
        Ok(response) if response.status() == StatusCode::MULTI_STATUS => "partly_done",
        Ok(_) => "done",
        Err(problem) => problem.code(),
    };
    outcome.to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::response::IntoResponse;
    use brokerx_schemas::{CommandId, Reason, Refusal, Reply, ReplyKind};

    use super::super::acted::acted;
    use super::*;
    use crate::commands::{End, Pending};

    #[tokio::test]
    async fn a_late_outcome_is_told_in_the_words_of_a_timely_one() {
        let command_id = CommandId([1; 16]);
        let place = "/x";
        let answer = |_: &Reply| Some(StatusCode::OK.into_response());
        let word = |acted: Result<Acted, Problem>| outcome_of(&acted.map(|acted| acted.response));
        for (refused, expected) in [(None, "done"), (Some(Reason::Halted), "HALTED")] {
            let reply = Reply {
                refusal: refused.map(|reason| Refusal {
                    reason,
                    current_version: None,
                }),
                ..Reply::new(command_id, ReplyKind::Instrument)
            };
            let timely = acted(End::Replied(Box::new(reply.clone())), place, answer);
            assert_eq!(word(timely), expected);

            let pending = Pending::new(1);
            let later = pending.register_beyond(command_id).look_out();
            let late = acted(End::Late(Some(later)), place, answer).unwrap();
            pending.resolve(reply).unwrap();
            let came = late.later.unwrap().await.unwrap();
            assert_eq!(outcome_of(&Ok(late.response)), PENDING);
            assert_eq!(outcome_of(&came), expected);
        }
        // Forgotten before it came.
        let pending = Pending::new(1);
        let later = pending.register_beyond(command_id).look_out();
        drop(pending.register_beyond(command_id));
        let late = acted(End::Late(Some(later)), place, answer).unwrap();
        assert!(late.later.unwrap().await.is_none());
    }
}
