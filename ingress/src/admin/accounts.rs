//! Share transfers, limits and the kill switch of an account.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use brokerx_json::{Cents, decimal, names, rfc3339};
use brokerx_schemas::{
    AccountCommand, AccountId, AccountLimits, CommandMeta, Reply, SetKillSwitch, SetLimits, TransferDirection,
    TransferShares, TransferView,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::acted::acted;
use super::amounts::{CENTS_MAX, QUANTITY_MAX};
use super::audit::{Action, Audit};
use super::late;
use crate::gateway::consistency;
use crate::http::{Body, FieldError, IdempotencyKey, Problem};

/// Where an outcome that is late can be seen.
const PLACE: &str = "/admin/v1/reconciliation";

pub(super) fn account_id(text: &str) -> Result<AccountId, Problem> {
    let id = text.parse().ok().filter(|id: &AccountId| id.0 > 0);
    id.ok_or_else(|| Problem::not_found("there is no such account"))
}

/// Sends one command on one account, audited; `body` makes the answer when it was done.
pub(super) async fn act_on(
    audit: &Audit,
    action: Action,
    account_id: AccountId,
    command: impl FnOnce(CommandMeta) -> AccountCommand + Send + 'static,
    body: impl FnOnce(&Reply) -> Option<Response> + Send + 'static,
) -> Result<Response, Problem> {
    let acting = audit.clone();
    let act = async move {
        let commands = &acting.app.commands;
        let end = commands
            .account_to_its_end(account_id, &acting.context.trace, command)
            .await?;
        acted(end, PLACE, body)
    };
    audit.around(action, || Ok(late(PLACE)), act).await
}

/// What is asked for, as the audit tells it.
pub(super) fn action(
    name: &'static str,
    account_id: AccountId,
    idempotency_key: &Option<String>,
    request: &impl Serialize,
) -> Result<Action, Problem> {
    Ok(Action {
        name,
        target: account_id.to_string(),
        idempotency_key: idempotency_key.clone(),
        request: serde_json::to_value(request).map_err(Problem::internal)?,
    })
}

/// The body of a share transfer.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TransferBody {
    symbol: String,
    quantity: Box<RawValue>,
    direction: String,
    price: Option<Box<RawValue>>,
}

/// A share transfer that was done.
#[derive(Debug, Serialize)]
struct Transferred {
    transfer_id: String,
    account_id: String,
    symbol: String,
    quantity: i64,
    direction: String,
    price: Cents,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency_token: Option<String>,
}

impl Transferred {
    fn new(transfer: &TransferView, account_seq: Option<i64>) -> Self {
        Self {
            transfer_id: transfer.transfer_id.to_string(),
            account_id: transfer.account_id.to_string(),
            symbol: transfer.symbol.to_string(),
            quantity: transfer.quantity,
            direction: names::lower(transfer.direction),
            price: Cents(transfer.price_cents),
            created_at: rfc3339(transfer.created_us),
            consistency_token: account_seq.map(|seq| consistency::token(transfer.account_id, seq)),
        }
    }
}

/// `POST /admin/v1/accounts/{account_id}/transfers`.
pub async fn transfer(
    audit: Audit,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    Path(id): Path<String>,
    Body(body): Body<TransferBody>,
) -> Result<Response, Problem> {
    let account_id = account_id(&id)?;
    let mut errors = Vec::new();
    let quantity = decimal::parse(&body.quantity, 0)
        .ok()
        .filter(|quantity| (1..=QUANTITY_MAX).contains(quantity));
    if quantity.is_none() {
        errors.push(FieldError::new(
            "quantity",
            "INVALID_QUANTITY",
            "is a whole number of shares, from 1 to a trillion",
        ));
    }
    let price = body.price.as_deref().map(|json| {
        decimal::parse(json, 2)
            .ok()
            .filter(|cents| (0..=CENTS_MAX).contains(cents))
    });
    if price == Some(None) {
        errors.push(FieldError::new(
            "price",
            "INVALID_PRICE",
            "is from 0 to 10 trillion, with at most two digits after the point",
        ));
    }
    let direction = names::of_lower::<TransferDirection>(&body.direction);
    if direction.is_none() {
        errors.push(FieldError::new("direction", "INVALID_REQUEST", "is \"in\" or \"out\""));
    }
    let symbol = audit.app.market.named(&body.symbol)?;
    if symbol.is_none() {
        errors.push(FieldError::new(
            "symbol",
            "UNKNOWN_SYMBOL",
            "is not a listed instrument",
        ));
    }
    let (Some(quantity), Some(direction), Some(symbol), true) = (quantity, direction, symbol, errors.is_empty()) else {
        return Err(Problem::fields(errors));
    };
    let action = action("transfer_shares", account_id, &idempotency_key, &body)?;
    let operator = audit.operator.client_id.clone();
    let command = move |meta| {
        AccountCommand::TransferShares(TransferShares {
            meta,
            account_id,
            operator,
            idempotency_key,
            symbol,
            quantity,
            direction,
            price_cents: price.flatten(),
        })
    };
    let answer = |reply: &Reply| {
        let body = Transferred::new(reply.transfer.as_ref()?, reply.account_seq);
        let status = if reply.replayed {
            StatusCode::OK
        } else {
            StatusCode::CREATED
        };
        Some((status, Json(body)).into_response())
    };
    act_on(&audit, action, account_id, command, answer).await
}

/// The body of new limits.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsBody {
    order_quantity_max: i64,
    order_notional_max: Box<RawValue>,
    open_orders_max: i32,
}

fn limits_of(body: &LimitsBody) -> Result<AccountLimits, Problem> {
    let notional = decimal::parse(&body.order_notional_max, 2)
        .ok()
        .filter(|cents| *cents >= 0);
    let rules = [
        (
            body.order_quantity_max >= 0,
            "order_quantity_max",
            "is a whole number of shares, at least 0",
        ),
        (
            notional.is_some(),
            "order_notional_max",
            "is an amount of at least 0, with at most two digits after the point",
        ),
        (
            body.open_orders_max >= 0,
            "open_orders_max",
            "is a whole number, at least 0",
        ),
    ];
    let broken = rules.iter().filter(|(is_met, ..)| !is_met);
    let errors: Vec<_> = broken
        .map(|(_, field, message)| FieldError::new(*field, "INVALID_REQUEST", *message))
        .collect();
    match notional {
        Some(order_notional_cents_max) if errors.is_empty() => Ok(AccountLimits {
            order_quantity_max: body.order_quantity_max,
            order_notional_cents_max,
            open_orders_max: body.open_orders_max,
        }),
        _ => Err(Problem::fields(errors)),
    }
}

/// `PUT /admin/v1/accounts/{account_id}/limits`.
pub async fn set_limits(
    audit: Audit,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    Path(id): Path<String>,
    Body(body): Body<LimitsBody>,
) -> Result<Response, Problem> {
    let account_id = account_id(&id)?;
    let limits = limits_of(&body)?;
    let action = action("set_limits", account_id, &idempotency_key, &body)?;
    let operator = audit.operator.client_id.clone();
    let command = move |meta| {
        AccountCommand::SetLimits(SetLimits {
            meta,
            account_id,
            operator,
            idempotency_key,
            limits,
        })
    };
    let answer = move |_: &Reply| {
        let done = serde_json::json!({
            "account_id": account_id.to_string(),
            "order_quantity_max": limits.order_quantity_max,
            "order_notional_max": Cents(limits.order_notional_cents_max),
            "open_orders_max": limits.open_orders_max,
        });
        Some(Json(done).into_response())
    };
    act_on(&audit, action, account_id, command, answer).await
}

/// `POST /admin/v1/accounts/{account_id}/kill`: cancels all orders and refuses new ones.
pub async fn kill(audit: Audit, key: IdempotencyKey, Path(id): Path<String>) -> Result<Response, Problem> {
    kill_switch(&audit, key, &id, true).await
}

/// `POST /admin/v1/accounts/{account_id}/unkill`: takes new orders again.
pub async fn unkill(audit: Audit, key: IdempotencyKey, Path(id): Path<String>) -> Result<Response, Problem> {
    kill_switch(&audit, key, &id, false).await
}

async fn kill_switch(
    audit: &Audit,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    id: &str,
    engaged: bool,
) -> Result<Response, Problem> {
    let account_id = account_id(id)?;
    let request = serde_json::json!({ "engaged": engaged });
    let name = if engaged { "kill" } else { "unkill" };
    let action = action(name, account_id, &idempotency_key, &request)?;
    let operator = Some(audit.operator.client_id.clone());
    let command = move |meta| {
        AccountCommand::SetKillSwitch(SetKillSwitch {
            meta,
            account_id,
            engaged,
            operator,
            idempotency_key,
        })
    };
    let answer = move |_: &Reply| {
        let done = serde_json::json!({ "account_id": account_id.to_string(), "kill_switch": engaged });
        Some(Json(done).into_response())
    };
    act_on(audit, action, account_id, command, answer).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_that_cannot_be_is_named() {
        let check = |text: &str| {
            let body: LimitsBody = serde_json::from_str(text).unwrap();
            let fields = |problem: Problem| -> Vec<String> {
                let errors = problem.field_errors().iter();
                errors.map(|error| error.field.to_string()).collect()
            };
            limits_of(&body).map_err(fields)
        };
        let good = r#"{"order_quantity_max":100,"order_notional_max":"5000.00","open_orders_max":0}"#;
        assert_eq!(check(good).unwrap().order_notional_cents_max, 5_000_00);
        let bad = r#"{"order_quantity_max":-1,"order_notional_max":"1.005","open_orders_max":-1}"#;
        assert_eq!(
            check(bad).unwrap_err(),
            ["order_quantity_max", "order_notional_max", "open_orders_max"]
        );
    }
}
