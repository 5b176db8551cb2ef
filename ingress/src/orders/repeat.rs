//! An order that is sent again while the market is away or its instrument gone.
//!
//! It is settlement that decides whether an order is a repeat, and answers it. But while the market shows
//! no sign of life, the ingress refuses new orders before it asks settlement, and it must not refuse an
//! order that was decided earlier. So it answers such a repeat from the projection.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use brokerx_schemas::{AccountId, CommandId, OrderView, Reason, Reply, ReplyKind};
use brokerx_topics::service::clock::now_us;

use super::answer;
use super::rows::newest;
use super::shape::OrderShape;
use crate::commands::Outcome;
use crate::http::{Problem, reasons};
use crate::state::App;

/// How long PostgreSQL is waited for. It is short because the client can be given the refusal at any time.
const LIMIT: Duration = Duration::from_millis(300);

/// The order as it stands, or a mismatch, when the projection has an order with this id that is still
/// remembered. None when it has none, and when the projection cannot be asked.
pub(super) async fn answer(app: &App, account_id: AccountId, shape: &OrderShape) -> Option<Response> {
    tokio::time::timeout(LIMIT, known(app, account_id, shape))
        .await
        .ok()?
        .ok()?
}

async fn known(app: &App, account_id: AccountId, shape: &OrderShape) -> Result<Option<Response>, Problem> {
    let found = newest(&app.database, account_id, &shape.client_order_id).await?;
    let remembered_us = app.options.closed_key_seconds.saturating_mul(1_000_000);
    let Some((order, executions)) = found.filter(|(order, _)| is_remembered(order, now_us(), remembered_us)) else {
        return Ok(None);
    };
    if order.version != 1 {
        // A replace has changed the original terms, so there is nothing left to compare a repeat with.
        return Ok(None);
    }
    if !is_same(&order, shape) {
        return Ok(Some(reasons::problem(Reason::IdempotencyMismatch).into_response()));
    }
    let account_seq = brokerx_projection::last_event(&app.database, account_id).await?;
    let reply = Reply {
        replayed: true,
        account_seq: Some(account_seq),
        order: Some(order),
        executions,
        ..Reply::new(CommandId([0; 16]), ReplyKind::Order)
    };
    Ok(Some(answer::placed(Outcome::Replied(Box::new(reply)), account_id, "")))
}

/// Whether settlement still remembered the order's id at a time, microseconds since the epoch.
pub(super) fn is_remembered(order: &OrderView, now_us: i64, remembered_us: i64) -> bool {
    !order.status.is_terminal() || now_us.saturating_sub(order.updated_us) < remembered_us
}

/// Whether an order whose terms were never changed is the same as the one asked for.
fn is_same(order: &OrderView, shape: &OrderShape) -> bool {
    let asked = (
        (shape.symbol, shape.side, shape.order_type, shape.quantity),
        (shape.price_cents, shape.stop_price_cents, shape.time_in_force),
        (shape.post_only, shape.display_quantity, shape.self_trade_prevention),
    );
    let stands = (
        (order.symbol, order.side, order.order_type, order.quantity),
        (order.price_cents, order.stop_price_cents, order.time_in_force),
        (order.post_only, order.display_quantity, order.self_trade_prevention),
    );
    asked == stands
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_schemas::{OrderStatus, OrderType, SelfTradePrevention, Side, Symbol, TimeInForce};

    use super::super::answer::tests::order;
    use super::*;

    fn pair() -> (OrderView, OrderShape) {
        let shape = OrderShape {
            symbol: Symbol::new("AAPL").unwrap(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            quantity: 10,
            price_cents: Some(100),
            stop_price_cents: None,
            time_in_force: TimeInForce::Gtc,
            post_only: false,
            display_quantity: Some(2),
            client_order_id: "a".to_owned(),
            self_trade_prevention: SelfTradePrevention::CancelIncoming,
        };
        let order = OrderView {
            time_in_force: shape.time_in_force,
            display_quantity: shape.display_quantity,
            ..order(OrderStatus::Filled, None)
        };
        (order, shape)
    }

    #[test]
    fn only_the_same_content_is_a_repeat() {
        let (order, shape) = pair();
        assert!(is_same(&order, &shape));
        let other = OrderShape { quantity: 11, ..shape };
        assert!(!is_same(&order, &other));
    }

    #[test]
    fn an_id_is_free_again_a_day_after_the_end() {
        let (order, _) = pair();
        let day_us = 24 * 60 * 60 * 1_000_000;
        assert!(is_remembered(&order, day_us - 1, day_us));
        assert!(!is_remembered(&order, day_us, day_us));
        let open = OrderView {
            status: OrderStatus::Working,
            ..order
        };
        assert!(is_remembered(&open, 10 * day_us, day_us));
        // Whatever time is asked for.
        let ended = OrderView {
            status: OrderStatus::Filled,
            updated_us: 5,
            ..open
        };
        assert!(is_remembered(&ended, i64::MIN, day_us));
        assert!(!is_remembered(&ended, i64::MAX, day_us));
    }
}
