//! Opening and closing sessions.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use brokerx_schemas::{BookCommand, Symbol};
use serde::{Deserialize, Serialize};

use super::audit::Audit;
use super::instruments::{Kind, send};
use crate::http::{FieldError, IdempotencyKey, OptionalBody, Problem};

const SYMBOLS_MAX: usize = 100;

/// The body of an opening or closing of sessions: these symbols, or all.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SessionBody {
    symbols: Option<Vec<String>>,
}

/// `POST /admin/v1/sessions/open`.
pub async fn open_sessions(
    audit: Audit,
    IdempotencyKey(key): IdempotencyKey,
    OptionalBody(body): OptionalBody<SessionBody>,
) -> Result<Response, Problem> {
    sessions(&audit, "open_sessions", BookCommand::OpenSession, key, &body).await
}

/// `POST /admin/v1/sessions/close`.
pub async fn close_sessions(
    audit: Audit,
    IdempotencyKey(key): IdempotencyKey,
    OptionalBody(body): OptionalBody<SessionBody>,
) -> Result<Response, Problem> {
    sessions(&audit, "close_sessions", BookCommand::CloseSession, key, &body).await
}

/// One command per symbol, one after the other; the answer tells the outcome of each.
async fn sessions(
    audit: &Audit,
    action: &'static str,
    kind: Kind,
    idempotency_key: Option<String>,
    body: &SessionBody,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Item {
        symbol: String,
        outcome: String,
    }
    let symbols = match &body.symbols {
        None => audit.app.market.symbols(),
        Some(names) if names.len() > SYMBOLS_MAX => {
            return Err(Problem::invalid_request("symbols has more than 100 items"));
        }
        Some(names) => names
            .iter()
            .map(|name| Symbol::new(name))
            .collect::<Result<_, _>>()
            .map_err(|error| Problem::fields(vec![FieldError::new("symbols", "INVALID_REQUEST", error.to_string())]))?,
    };
    let act = async {
        let mut items = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            let outcome = match send(audit, kind, symbol, idempotency_key.clone(), None).await {
                Ok(response) if response.status() == StatusCode::ACCEPTED => "pending".to_owned(),
                Ok(_) => "done".to_owned(),
                Err(problem) => problem.code().to_owned(),
            };
            items.push(Item {
                symbol: symbol.to_string(),
                outcome,
            });
        }
        Ok(Json(serde_json::json!({ "items": items })).into_response())
    };
    audit.around(action, "sessions", body, act).await
}
