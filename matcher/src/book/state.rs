//! The orders of a book from outside: for snapshots and for whoever ends them.

use serde::{Deserialize, Serialize};

use super::orders::{NONE, Order};
use super::{Book, SelfTradePrevention, Side, Ticks, TimeInForce};

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
    /// Shares left.
    pub leaves: i64,
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
            quantity: order.quantity,
            leaves: order.leaves,
            priority: order.priority,
            time_in_force: order.time_in_force,
            post_only: order.post_only,
            self_trade_prevention: order.self_trade_prevention,
        }
    }
}

/// Why orders cannot be put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotABook;

impl Book {
    /// Up to `count` resting orders from a slot on, and the slot to go on from; none after the last.
    /// Slots mean nothing outside of one walk during which the book is not touched.
    pub fn orders_from(&self, slot: u32, count: usize) -> (Vec<Resting>, Option<u32>) {
        let mut orders = Vec::with_capacity(count.min(self.order_count()));
        for (at, order) in self.orders.iter_from(slot) {
            if orders.len() == count {
                return (orders, Some(at));
            }
            orders.push(Resting::of(order));
        }
        (orders, None)
    }

    /// The orders that are meant by `which`, first come first. It does not rely on the queues, so it
    /// works on a broken book too.
    pub fn order_ids(&self, which: impl Fn(&Resting) -> bool) -> Vec<i64> {
        let mut found: Vec<(u64, i64)> = self
            .orders
            .iter_from(0)
            .map(|(_, order)| Resting::of(order))
            .filter(which)
            .map(|order| (order.priority, order.order_id))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, order_id)| order_id).collect()
    }

    /// The place in time of the order that was queued last.
    pub fn priority_last(&self) -> u64 {
        self.priority_last
    }

    /// A book with these orders, in any order.
    ///
    /// # Errors
    /// When two share a place or an id, or a place is after `priority_last`.
    pub fn restore(priority_last: u64, mut orders: Vec<Resting>) -> Result<Self, NotABook> {
        let mut book = Self {
            priority_last,
            ..Self::default()
        };
        orders.sort_unstable_by_key(|order| order.priority);
        let mut priority = 0;
        for order in orders {
            if order.priority <= priority
                || order.priority > priority_last
                || book.orders.find(order.order_id).is_some()
            {
                return Err(NotABook);
            }
            priority = order.priority;
            book.append(Order {
                order_id: order.order_id,
                account_id: order.account_id,
                price: order.price,
                quantity: order.quantity,
                leaves: order.leaves,
                priority: order.priority,
                previous: NONE,
                next: NONE,
                level: NONE,
                side: order.side,
                time_in_force: order.time_in_force,
                post_only: order.post_only,
                self_trade_prevention: order.self_trade_prevention,
            });
        }
        Ok(book)
    }
}
