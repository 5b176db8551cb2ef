//! What operators put right by hand: the cash or a position of an account, and an account that is frozen.

use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use brokerx_json::Cents;
use brokerx_schemas::{AccountCommand, AdjustBalance, Reply, Symbol, ThawAccount};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::accounts::{account_id, act_on, action};
use super::amounts::{cents, shares};
use super::audit::Audit;
use crate::gateway::consistency;
use crate::http::{Body, FieldError, IdempotencyKey, Problem};

/// The longest note, in characters: a reference to where the matter is explained, not the explanation.
const NOTE_LENGTH_MAX: usize = 256;

/// The body of a correction.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AdjustmentBody {
    /// By how much the cash changes, signed.
    cash: Option<Box<RawValue>>,
    /// The instrument whose position changes.
    symbol: Option<String>,
    /// By how many shares, signed.
    quantity: Option<Box<RawValue>>,
    /// By how much the cost of the position changes, signed.
    cost: Option<Box<RawValue>>,
    note: String,
}

/// The body of a thaw.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ThawBody {
    note: String,
}

/// What is corrected: the symbol of a position, the amount, the change of the cost.
type Terms = (Option<Symbol>, i64, i64);

fn terms(body: &AdjustmentBody) -> Result<Terms, Problem> {
    match (&body.cash, &body.symbol) {
        (Some(cash), None) if body.quantity.is_none() && body.cost.is_none() => Ok((None, cents("cash", cash)?, 0)),
        (None, Some(symbol)) => {
            let symbol = Symbol::new(symbol).map_err(|error| {
                Problem::fields(vec![FieldError::new("symbol", "UNKNOWN_SYMBOL", error.to_string())])
            })?;
            let cost = body.cost.as_deref().map(|cost| cents("cost", cost)).transpose()?;
            let quantity = body
                .quantity
                .as_deref()
                .map(|quantity| shares("quantity", quantity))
                .transpose()?;
            Ok((Some(symbol), quantity.unwrap_or(0), cost.unwrap_or(0)))
        }
        _ => Err(Problem::invalid_request(
            "a correction is either of cash alone, or of a symbol with quantity, cost or both",
        )),
    }
}

fn note(text: &str) -> Result<String, Problem> {
    let good = (1..=NOTE_LENGTH_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    good.then(|| text.to_owned()).ok_or_else(|| {
        let text = "says why, in 1 to 256 characters on one line";
        Problem::fields(vec![FieldError::new("note", "INVALID_REQUEST", text)])
    })
}

/// `POST /admin/v1/accounts/{account_id}/adjustments`: corrects cash or a position, with a posting of its own.
pub async fn adjust(
    audit: Audit,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    Path(id): Path<String>,
    Body(body): Body<AdjustmentBody>,
) -> Result<Response, Problem> {
    let account_id = account_id(&id)?;
    let (symbol, amount, cost_cents) = terms(&body)?;
    let note = note(&body.note)?;
    let action = action("adjust_balance", account_id, &idempotency_key, &body)?;
    let operator = audit.operator.client_id.clone();
    let command = move |meta| {
        AccountCommand::AdjustBalance(AdjustBalance {
            meta,
            account_id,
            operator,
            idempotency_key,
            symbol,
            amount,
            cost_cents,
            note,
        })
    };
    let answer = move |reply: &Reply| {
        let mut done = json!({
            "account_id": account_id.to_string(),
            "consistency_token": consistency::token(account_id, reply.account_seq?),
        });
        match symbol {
            None => done["cash"] = json!(Cents(amount)),
            Some(symbol) => {
                done["symbol"] = json!(symbol.to_string());
                done["quantity"] = json!(amount);
                done["cost"] = json!(Cents(cost_cents));
            }
        }
        Some(Json(done).into_response())
    };
    act_on(&audit, action, account_id, command, answer).await
}

/// `POST /admin/v1/accounts/{account_id}/thaw`: lets a frozen account go on.
pub async fn thaw(
    audit: Audit,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    Path(id): Path<String>,
    Body(body): Body<ThawBody>,
) -> Result<Response, Problem> {
    let account_id = account_id(&id)?;
    let note = note(&body.note)?;
    let action = action("thaw", account_id, &idempotency_key, &body)?;
    let operator = audit.operator.client_id.clone();
    let command = move |meta| {
        AccountCommand::ThawAccount(ThawAccount {
            meta,
            account_id,
            operator,
            idempotency_key,
            note,
        })
    };
    let answer = move |reply: &Reply| {
        let done = json!({
            "account_id": account_id.to_string(),
            "frozen": false,
            "consistency_token": consistency::token(account_id, reply.account_seq?),
        });
        Some(Json(done).into_response())
    };
    act_on(&audit, action, account_id, command, answer).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_is_of_cash_or_of_a_position() {
        let aapl = Some(Symbol::new("AAPL").unwrap());
        for (json, expected) in [
            (r#"{"cash":"-25.00","note":"n"}"#, Ok((None, -25_00, 0))),
            (
                r#"{"symbol":"AAPL","quantity":-3,"cost":"-7.5","note":"n"}"#,
                Ok((aapl, -3, -7_50)),
            ),
            (r#"{"symbol":"AAPL","quantity":3,"note":"n"}"#, Ok((aapl, 3, 0))),
            (r#"{"cash":"1.005","note":"n"}"#, Err(422)),
            (r#"{"cash":"1","symbol":"AAPL","note":"n"}"#, Err(422)),
            (r#"{"cash":"1","quantity":1,"note":"n"}"#, Err(422)),
            (r#"{"symbol":"aapl!","quantity":1,"note":"n"}"#, Err(422)),
            (r#"{"note":"n"}"#, Err(422)),
            // What a sum or a change of sign could not hold.
            (
                r#"{"symbol":"AAPL","quantity":-9223372036854775808,"note":"n"}"#,
                Err(422),
            ),
            (
                r#"{"symbol":"AAPL","quantity":9223372036854775807,"note":"n"}"#,
                Err(422),
            ),
            (r#"{"symbol":"AAPL","quantity":1000000000001,"note":"n"}"#, Err(422)),
            (
                r#"{"symbol":"AAPL","quantity":-1000000000000,"note":"n"}"#,
                Ok((aapl, -1_000_000_000_000, 0)),
            ),
            (r#"{"symbol":"AAPL","quantity":1.5,"note":"n"}"#, Err(422)),
            (
                r#"{"symbol":"AAPL","quantity":1,"cost":"-92233720368547758.08","note":"n"}"#,
                Err(422),
            ),
            (
                r#"{"symbol":"AAPL","quantity":1,"cost":"10000000000000.01","note":"n"}"#,
                Err(422),
            ),
            (r#"{"cash":"-92233720368547758.07","note":"n"}"#, Err(422)),
            (
                r#"{"cash":"-10000000000000.00","note":"n"}"#,
                Ok((None, -1_000_000_000_000_000, 0)),
            ),
        ] {
            let body: AdjustmentBody = serde_json::from_str(json).unwrap();
            assert_eq!(
                terms(&body).map_err(|problem| problem.status().as_u16()),
                expected,
                "{json}"
            );
        }
        let quantity = r#"{"symbol":"AAPL","quantity":-9223372036854775808,"note":"n"}"#;
        let problem = terms(&serde_json::from_str(quantity).unwrap()).unwrap_err();
        assert_eq!(problem.code(), "INVALID_QUANTITY");
        assert_eq!(problem.field_errors()[0].field, "quantity");
        for (text, good) in [("ticket 4711", true), ("", false), ("a\nb", false)] {
            assert_eq!(note(text).is_ok(), good);
        }
        assert!(note(&"x".repeat(257)).is_err());
    }
}
