//! A resting order as others see it.

use serde::{Deserialize, Serialize};

use super::orders::Order;
use super::types::{SelfTradePrevention, Side, Ticks, TimeInForce};

/// A resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resting {
    /// The order.
    pub order_id: i64,
    /// The owner.
    pub account_id: i64,
    /// The side.
    pub side: Side,
    /// The limit.
    pub price: Ticks,
    /// Total shares, what traded included.
    pub quantity: i64,
    /// Shares left, hidden ones included.
    pub leaves: i64,
    /// Shares left that are shown.
    pub visible: i64,
    /// Shares that an iceberg shows at a time; 0 shows all.
    pub display: i64,
    /// Place in time within the book: lower is earlier.
    pub priority: u64,
    /// How long it stays.
    pub time_in_force: TimeInForce,
    /// Refuse rather than take liquidity, when it is replaced.
    pub post_only: bool,
    /// What gives way, when it is replaced.
    pub self_trade_prevention: SelfTradePrevention,
}

impl Resting {
    pub(super) fn of(order: &Order) -> Self {
        Self {
            order_id: order.order_id,
            account_id: order.account_id,
            side: order.side,
            price: order.price,
            quantity: i64::from(order.quantity),
            leaves: i64::from(order.leaves),
            visible: i64::from(order.visible),
            display: i64::from(order.display),
            priority: order.priority,
            time_in_force: order.time_in_force,
            post_only: order.post_only,
            self_trade_prevention: order.self_trade_prevention,
        }
    }
}
