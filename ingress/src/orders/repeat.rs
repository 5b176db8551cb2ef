//! A repeat of an order while the market is away or the instrument gone.
//!
//! Settlement answers repeats, and it alone decides what one is. But a new order is refused here
//! while there is no sign of the market, before settlement is asked; an order that was decided
//! before must not be refused with it. So what the projection knows is answered instead.

use axum::response::Response;
use brokerx_schemas::{AccountId, CommandId, Config, OrderView, Reply, ReplyKind};

use super::answer;
use super::read::newest;
use super::shape::OrderShape;
use crate::clock::now_us;
use crate::commands::Outcome;
use crate::state::App;

/// The order as it stands, when the projection knows one with this id and this content that is
/// still remembered; none also when the projection cannot be asked.
pub(super) async fn answer(app: &App, account_id: AccountId, shape: &OrderShape) -> Option<Response> {
    let found = newest(&app.database, account_id, &shape.client_order_id).await;
    let (order, executions) = found.ok().flatten()?;
    if !is_remembered(&order, now_us()) || !is_same(&order, shape) {
        return None;
    }
    let reply = Reply {
        replayed: true,
        order: Some(order),
        executions,
        ..Reply::new(CommandId([0; 16]), ReplyKind::Order)
    };
    Some(answer::placed(Outcome::Replied(Box::new(reply)), account_id, ""))
}

/// Whether its id is still taken.
fn is_remembered(order: &OrderView, now_us: i64) -> bool {
    let remembered_us = Config::default().closed_key_seconds * 1_000_000;
    !order.status.is_terminal() || now_us - order.updated_us < remembered_us
}

/// Whether the order is what was asked for. The terms are those of the first version only as long as
/// no replace has changed them; after one, nothing is claimed.
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
    order.version == 1 && asked == stands
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_schemas::{OrderId, OrderStatus, OrderType, SelfTradePrevention, Side, Symbol, TimeInForce};

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
            order_id: OrderId(1),
            account_id: AccountId(7),
            client_order_id: "a".to_owned(),
            symbol: shape.symbol,
            side: shape.side,
            order_type: shape.order_type,
            quantity: 10,
            price_cents: Some(100),
            stop_price_cents: None,
            collar_price_cents: None,
            time_in_force: shape.time_in_force,
            post_only: false,
            display_quantity: Some(2),
            self_trade_prevention: shape.self_trade_prevention,
            status: OrderStatus::Filled,
            reason: None,
            version: 1,
            event_seq: 3,
            filled_quantity: 10,
            filled_notional_cents: 1_000,
            fees_cents: 0,
            reserved_cents: 0,
            reserved_quantity: 0,
            created_us: 0,
            updated_us: 0,
        };
        (order, shape)
    }

    #[test]
    fn only_the_same_content_is_a_repeat() {
        let (order, shape) = pair();
        assert!(is_same(&order, &shape));
        let other = OrderShape { quantity: 11, ..shape };
        assert!(!is_same(&order, &other));
        let replaced = OrderView {
            version: 2,
            quantity: 11,
            ..order
        };
        assert!(!is_same(&replaced, &other), "its first terms are not known");
    }

    #[test]
    fn an_id_is_free_again_a_day_after_the_end() {
        let (order, _) = pair();
        let day_us = 24 * 60 * 60 * 1_000_000;
        assert!(is_remembered(&order, day_us - 1));
        assert!(!is_remembered(&order, day_us));
        let open = OrderView {
            status: OrderStatus::Working,
            ..order
        };
        assert!(is_remembered(&open, 10 * day_us));
    }
}
