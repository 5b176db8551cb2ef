//! Turns the outcome of a command on an order into an HTTP answer.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brokerx_json::OrderBody;
use brokerx_schemas::{AccountId, OrderStatus, Reply};
use serde::Serialize;

use crate::commands::Outcome;
use crate::gateway::consistency;
use crate::http::{Problem, reasons};

/// Marks the outcome of an earlier request with the same id.
pub(crate) const REPLAYED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("idempotent-replayed"),
    HeaderValue::from_static("true"),
);

/// The answer of every route that changes an order.
#[derive(Debug, Serialize)]
struct OrderAnswer {
    order: OrderBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency_token: Option<String>,
}

/// The answer to placing an order: 201, or 200 for a repeat; 422 when the order was rejected; 202 with the
/// place to look when there is no outcome yet.
pub(super) fn placed(outcome: Outcome, account_id: AccountId, location: &str) -> Response {
    match outcome {
        Outcome::Late => late(location),
        Outcome::Replied(reply) => {
            let created = if reply.replayed {
                StatusCode::OK
            } else {
                StatusCode::CREATED
            };
            of_reply(&reply, account_id, created)
        }
    }
}

/// The answer to changing an order: 200, a refusal, or 202.
pub(super) fn changed(outcome: Outcome, account_id: AccountId, location: &str) -> Response {
    match outcome {
        Outcome::Late => late(location),
        Outcome::Replied(reply) => of_reply(&reply, account_id, StatusCode::OK),
    }
}

/// The answer to a command that is not about one order: what `body` makes of the reply, or 202.
///
/// # Errors
/// When the command was refused.
pub(crate) fn done(
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

/// 202: no outcome yet, look at `location` later.
pub(crate) fn late(location: &str) -> Response {
    let body = serde_json::json!({ "status": "pending", "location": location });
    (
        StatusCode::ACCEPTED,
        [(header::LOCATION, location.to_owned())],
        Json(body),
    )
        .into_response()
}

fn of_reply(reply: &Reply, account_id: AccountId, status: StatusCode) -> Response {
    let order = reply
        .order
        .as_ref()
        .map(|order| OrderBody::new(order, &reply.executions));
    let consistency_token = reply
        .account_seq
        .map(|account_seq| consistency::token(account_id, account_seq));
    let rejected = reply
        .order
        .as_ref()
        .is_some_and(|order| order.status == OrderStatus::Rejected);
    let mut response = match (order, &reply.refusal) {
        (Some(order), None) if !rejected => (
            status,
            Json(OrderAnswer {
                order,
                consistency_token,
            }),
        )
            .into_response(),
        (order, refusal) => {
            let of_order = reply.order.as_ref().and_then(|order| order.reason).filter(|_| rejected);
            let problem = match (refusal, of_order) {
                (Some(refusal), _) => reasons::refused(refusal),
                (None, Some(reason)) => reasons::problem(reason),
                (None, None) => Problem::internal("a reply without an order and without a refusal"),
            };
            let problem = order
                .into_iter()
                .fold(problem, |problem, order| problem.with("order", order));
            let tokens = consistency_token.into_iter();
            tokens
                .fold(problem, |problem, token| problem.with("consistency_token", token))
                .into_response()
        }
    };
    if reply.replayed {
        let (name, value) = REPLAYED;
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use brokerx_schemas::{
        CommandId, OrderId, OrderType, OrderView, Reason, Refusal, ReplyKind, SelfTradePrevention, Side, Symbol,
        TimeInForce,
    };

    use super::*;

    /// An order of 10 shares of AAPL at 1.00, of which nothing has traded.
    pub fn order(status: OrderStatus, reason: Option<Reason>) -> OrderView {
        OrderView {
            order_id: OrderId(1),
            account_id: AccountId(7),
            client_order_id: "a".to_owned(),
            symbol: Symbol::new("AAPL").unwrap(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            quantity: 10,
            price_cents: Some(100),
            stop_price_cents: None,
            collar_price_cents: None,
            time_in_force: TimeInForce::Day,
            post_only: false,
            display_quantity: None,
            self_trade_prevention: SelfTradePrevention::CancelIncoming,
            status,
            reason,
            version: 1,
            event_seq: 1,
            filled_quantity: 0,
            filled_notional_cents: 0,
            fees_cents: 0,
            reserved_cents: 0,
            reserved_quantity: 0,
            created_us: 0,
            updated_us: 0,
        }
    }

    fn answer(order: Option<OrderView>, refusal: Option<Reason>, replayed: bool) -> (u16, Option<String>, bool) {
        let mut reply = Reply::new(CommandId([1; 16]), ReplyKind::Order);
        reply.order = order;
        reply.refusal = refusal.map(|reason| Refusal {
            reason,
            current_version: None,
        });
        reply.replayed = replayed;
        let response = placed(Outcome::Replied(Box::new(reply)), AccountId(7), "/x");
        let code = response
            .extensions()
            .get::<Problem>()
            .map(|problem| problem.code().to_owned());
        (
            response.status().as_u16(),
            code,
            response.headers().contains_key(REPLAYED.0),
        )
    }

    #[test]
    fn each_outcome_becomes_its_answer() {
        let code = |code: &str| Some(code.to_owned());
        let working = || Some(order(OrderStatus::Working, None));
        let rejected = |reason| Some(order(OrderStatus::Rejected, Some(reason)));
        let cancelled = Some(order(OrderStatus::Cancelled, Some(Reason::NoLiquidity)));
        assert_eq!(answer(working(), None, false), (201, None, false));
        assert_eq!(answer(working(), None, true), (200, None, true));
        assert_eq!(answer(cancelled, None, false), (201, None, false));
        assert_eq!(
            answer(rejected(Reason::PriceBand), None, false),
            (422, code("PRICE_BAND"), false)
        );
        assert_eq!(
            answer(rejected(Reason::PriceBand), Some(Reason::PriceBand), true),
            (422, code("PRICE_BAND"), true)
        );
        assert_eq!(
            answer(rejected(Reason::ExpiredRequest), None, false),
            (422, code("EXPIRED_REQUEST"), false)
        );
        assert_eq!(
            answer(None, Some(Reason::ExpiredRequest), false),
            (422, code("EXPIRED_REQUEST"), false)
        );
        assert_eq!(
            answer(None, Some(Reason::InsufficientFunds), false),
            (422, code("INSUFFICIENT_FUNDS"), false)
        );
        assert_eq!(answer(working(), Some(Reason::IdempotencyMismatch), false).0, 409);
        assert_eq!(answer(None, None, false).0, 500);
        let late = placed(Outcome::Late, AccountId(7), "/x");
        assert_eq!(
            (
                late.status().as_u16(),
                late.headers()[header::LOCATION].to_str().unwrap()
            ),
            (202, "/x")
        );
    }
}
