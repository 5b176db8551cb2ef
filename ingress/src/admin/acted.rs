//! What came of an operator's action, at once or later.

use std::pin::Pin;

use axum::response::Response;
use brokerx_schemas::Reply;

use super::{answer, late};
use crate::commands::{End, Outcome};
use crate::http::Problem;

/// What came of an action within its time, and what may still come of it.
pub(super) struct Acted {
    /// The answer; 202 while there is no outcome.
    pub(super) response: Response,
    /// Waits for what is missing; none when nothing is.
    pub(super) later: Option<LaterAnswer>,
}

/// The answer that a late outcome brings; none when it was forgotten.
pub(super) type LaterAnswer = Pin<Box<dyn Future<Output = Option<Result<Response, Problem>>> + Send>>;

impl From<Response> for Acted {
    fn from(response: Response) -> Self {
        Self { response, later: None }
    }
}

/// What came of one command. `body` makes the answer when it was done, also when that is known later; `place` is
/// where to look until then.
///
/// # Errors
/// When the command was refused.
pub(super) fn acted(
    end: End,
    place: &'static str,
    body: impl FnOnce(&Reply) -> Option<Response> + Send + 'static,
) -> Result<Acted, Problem> {
    match end {
        End::Replied(reply) => answer(Outcome::Replied(reply), place, body).map(Acted::from),
        End::Late(later) => Ok(Acted {
            response: late(place),
            later: later.map(|later| -> LaterAnswer {
                Box::pin(async move { Some(answer(Outcome::Replied(later.reply().await?), place, body)) })
            }),
        }),
    }
}
