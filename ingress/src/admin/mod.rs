//! What operators do. Every handler takes an [`crate::access::Operator`] and is audited.

mod accounts;
mod audit;
mod clients;
mod instruments;
mod reconciliation;
mod sessions;

pub use accounts::{kill, set_limits, transfer, unkill};
pub use clients::{reinstate, suspend};
pub use instruments::{delist, halt, list, resume};
pub use reconciliation::reconciliation;
pub use sessions::{close_sessions, open_sessions};

use axum::response::{IntoResponse, Response};
use brokerx_schemas::Reply;

use crate::commands::Outcome;
use crate::orders::{REPLAYED, late};
use crate::problem::Problem;
use crate::reasons;

/// The answer to an operator's command: what `body` makes of the outcome, the refusal, or 202.
fn answer(
    outcome: Outcome,
    location: &str,
    body: impl FnOnce(&Reply) -> Option<Response>,
) -> Result<Response, Problem> {
    let reply = match outcome {
        Outcome::Late => return Ok(late(location)),
        Outcome::Replied(reply) => reply,
    };
    if let Some(refusal) = &reply.refusal {
        return Err(reasons::refused(refusal));
    }
    let mut response = body(&reply).unwrap_or_else(|| Problem::internal("a reply of another kind").into_response());
    if reply.replayed {
        response.headers_mut().extend([REPLAYED]);
    }
    Ok(response)
}
