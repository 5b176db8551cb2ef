//! `POST /api/v1/orders/{id}/cancel`, `DELETE /api/v1/orders/{id}`, `POST /api/v1/orders/cancel-all`,
//! `POST /api/v1/orders/{id}/replace`.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use brokerx_schemas::{
    AccountCommand, AccountId, CancelAllOrders, CancelOrder, OrderId, Reason, Refusal, ReplaceOrder, Symbol,
};
use serde::Deserialize;
use serde_json::json;

use super::answer;
use super::path::{location, order_id};
use super::rows;
use super::shape::{PriceRange, ReplaceInput};
use crate::commands::Outcome;
use crate::gateway::{Caller, RequestContext, Scope, consistency};
use crate::http::{Body, FieldError, IdempotencyKey, OptionalBody, Problem};
use crate::state::{App, Shared};

/// The body of a cancel; it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    client_version: Option<i32>,
}

/// Cancels an order, if it still has the version that the client knows.
pub async fn cancel(
    State(app): State<Shared>,
    caller: Caller,
    context: RequestContext,
    key: IdempotencyKey,
    Path(id): Path<String>,
    OptionalBody(body): OptionalBody<CancelBody>,
) -> Result<Response, Problem> {
    send_cancel(&app, &caller, &context, key, &id, body.client_version).await
}

/// Cancels an order whatever its version.
pub async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    context: RequestContext,
    key: IdempotencyKey,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    send_cancel(&app, &caller, &context, key, &id, None).await
}

async fn send_cancel(
    app: &App,
    caller: &Caller,
    context: &RequestContext,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    id: &str,
    client_version: Option<i32>,
) -> Result<Response, Problem> {
    let account_id = caller.account(Scope::Trade)?;
    let order_id = order_id(id)?;
    let command = |meta| {
        AccountCommand::CancelOrder(CancelOrder {
            meta,
            account_id,
            order_id,
            client_version,
            idempotency_key,
        })
    };
    let outcome = app.commands.cancel(account_id, &context.trace, command).await?;
    changed(app, outcome, account_id, order_id).await
}

/// The answer to a cancel or a replace. Settlement keeps little of an order that was rejected: what it was is read
/// from the projection.
///
/// # Errors
/// 503 when the projection has not come so far; what was refused has changed nothing, so it may be asked again.
async fn changed(
    app: &App,
    mut outcome: Outcome,
    account_id: AccountId,
    order_id: OrderId,
) -> Result<Response, Problem> {
    if let Outcome::Replied(reply) = &mut outcome
        && reply.order.is_none()
        && let Some(Refusal {
            reason: Reason::OrderClosed,
            ..
        }) = reply.refusal
    {
        consistency::reached(app, account_id, reply.account_seq.unwrap_or_default()).await?;
        if let Some((order, executions)) = rows::by_id(&app.database, account_id, order_id).await? {
            reply.order = Some(order);
            reply.executions = executions;
        }
    }
    Ok(answer::changed(outcome, account_id, &location(order_id)))
}

/// The body of a cancel of all orders; it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelAllBody {
    symbol: Option<String>,
}

/// Cancels every open order of the account, or those of one symbol. The answer says that the cancels
/// are on their way to the books; each order's end comes over the private stream.
pub async fn cancel_all(
    State(app): State<Shared>,
    caller: Caller,
    context: RequestContext,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    OptionalBody(body): OptionalBody<CancelAllBody>,
) -> Result<Response, Problem> {
    let account_id = caller.account(Scope::Trade)?;
    let symbol = body.symbol.as_deref().map(Symbol::new).transpose().map_err(|error| {
        let fault = FieldError::new("symbol", "INVALID_REQUEST", error.to_string());
        Problem::fields(vec![fault])
    })?;
    let command = |meta| {
        AccountCommand::CancelAllOrders(CancelAllOrders {
            meta,
            account_id,
            symbol,
            idempotency_key,
        })
    };
    let outcome = app.commands.cancel(account_id, &context.trace, command).await?;
    answer::done(outcome, "/api/v1/orders", |reply| {
        let token = consistency::token(account_id, reply.account_seq?);
        Some(Json(json!({ "status": "cancelling", "consistency_token": token })).into_response())
    })
}

/// The body of a replace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaceBody {
    order: ReplaceInput,
}

/// Changes the terms of an order.
pub async fn replace(
    State(app): State<Shared>,
    caller: Caller,
    context: RequestContext,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    Path(id): Path<String>,
    Body(body): Body<ReplaceBody>,
) -> Result<Response, Problem> {
    let account_id = caller.account(Scope::Trade)?;
    let order_id = order_id(&id)?;
    let shape = body
        .order
        .check(PriceRange::of(&app.options))
        .map_err(Problem::fields)?;
    let command = |meta| {
        AccountCommand::ReplaceOrder(ReplaceOrder {
            meta,
            account_id,
            order_id,
            client_version: shape.client_version,
            price_cents: shape.price_cents,
            quantity: shape.quantity,
            time_in_force: shape.time_in_force,
            idempotency_key,
        })
    };
    let outcome = app.commands.account(account_id, &context.trace, command).await?;
    changed(&app, outcome, account_id, order_id).await
}
