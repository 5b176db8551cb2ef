//! Opening and closing sessions.
//!
//! One request becomes one command per symbol, each with a key of its own that follows from the request's:
//! many symbols share a partition, whose matcher knows a key only once. What a request without names meant
//! is read again from the audit when it is repeated, so that a repeat acts on nothing else.

use axum::response::Response;
use brokerx_schemas::{BookCommand, Symbol};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::audit::{Action, Audit};
use super::instruments::{Kind, send};
use super::items::Items;
use crate::http::{FieldError, IdempotencyKey, OptionalBody, Problem, reasons};

const SYMBOLS_MAX: usize = 100;
/// The namespace of the keys of single symbols.
const ITEM_KEYS: Uuid = Uuid::from_u128(0x6272_6f6b_6572_4000_8000_6974_656d_0001);

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

/// One command per symbol, side by side; the answer tells the outcome of each.
async fn sessions(
    audit: &Audit,
    name: &'static str,
    kind: Kind,
    idempotency_key: Option<String>,
    body: &SessionBody,
) -> Result<Response, Problem> {
    let named = body.symbols.as_deref().map(parse).transpose()?;
    let asked = json!({ "symbols": body.symbols });
    let earlier = match &idempotency_key {
        Some(key) => earlier(audit, name, key, &asked).await?,
        None => None,
    };
    let symbols = match earlier.or(named) {
        Some(symbols) => symbols,
        None => audit.app.market.symbols()?,
    };
    let action = Action {
        name,
        target: "sessions".to_owned(),
        request: json!({ "asked": asked, "symbols": symbols.iter().map(Symbol::to_string).collect::<Vec<_>>() }),
        idempotency_key: idempotency_key.clone(),
    };
    let items = Items::new(&symbols);
    let act = {
        let (audit, items) = (audit.clone(), items.clone());
        async move {
            let one = |symbol| {
                let key = idempotency_key.as_deref().map(|key| item_key(key, symbol));
                send(&audit, kind, symbol, key, None)
            };
            Ok(items.each(one).await)
        }
    };
    audit.around(action, || Ok(items.answer()), act).await
}

fn parse(names: &[String]) -> Result<Vec<Symbol>, Problem> {
    if names.len() > SYMBOLS_MAX {
        return Err(Problem::invalid_request("symbols has more than 100 items"));
    }
    let symbols: Result<_, _> = names.iter().map(|name| Symbol::new(name)).collect();
    symbols.map_err(|error| Problem::fields(vec![FieldError::new("symbols", "INVALID_REQUEST", error.to_string())]))
}

/// The key of one symbol's command. Opening and closing share it: a key is for one request.
fn item_key(key: &str, symbol: Symbol) -> String {
    // Neither holds a line break, so no two pairs make the same name.
    Uuid::new_v5(&ITEM_KEYS, format!("{key}\n{symbol}").as_bytes()).to_string()
}

/// What the first request with this key acted on, while the matcher remembers keys.
///
/// # Errors
/// 409 when that request asked for something else.
async fn earlier(audit: &Audit, name: &str, key: &str, asked: &Value) -> Result<Option<Vec<Symbol>>, Problem> {
    let row: Option<(String, Json<Value>)> = sqlx::query_as(
        "SELECT action, request FROM operator_audit
         WHERE operator = $1::uuid AND idempotency_key = $2 AND target = 'sessions'
           AND requested_at > now() - make_interval(secs => $3)
         ORDER BY audit_id LIMIT 1",
    )
    .bind(&audit.operator.client_id)
    .bind(key)
    .bind(audit.app.options.closed_key_seconds as f64)
    .fetch_optional(&audit.app.database)
    .await?;
    let Some((first_name, Json(first))) = row else {
        return Ok(None);
    };
    if first_name != name || first["asked"] != *asked {
        return Err(reasons::problem(brokerx_schemas::Reason::IdempotencyMismatch));
    }
    let symbols = first["symbols"].as_array().into_iter().flatten();
    let symbols = symbols.filter_map(|symbol| Symbol::new(symbol.as_str()?).ok());
    Ok(Some(symbols.collect()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_symbol_has_a_key_of_its_own_and_the_same_one_again() {
        let symbol = |name| Symbol::new(name).unwrap();
        let key = item_key("k", symbol("AAPL"));
        assert_eq!(item_key("k", symbol("AAPL")), key);
        assert_ne!(item_key("k", symbol("MSFT")), key);
        assert_ne!(item_key("l", symbol("AAPL")), key);
        assert!(crate::http::is_client_key(&key));
    }
}
