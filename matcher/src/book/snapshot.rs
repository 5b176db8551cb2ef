//! A book taken apart for a snapshot, and put together again.

use super::orders::{NONE, Order};
use super::quantity::{QUANTITY_MAX, shares};
use super::queues::Book;
use super::resting::Resting;
use super::types::Stop;

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

    /// Up to `count` stops from an id on, and the id to go on from.
    pub fn stops_from(&self, order_id: i64, count: usize) -> (Vec<Stop>, Option<i64>) {
        let mut stops: Vec<Stop> = self.stops.from(order_id).take(count + 1).copied().collect();
        let next = (stops.len() > count).then(|| stops.pop()).flatten();
        (stops, next.map(|stop| stop.order_id))
    }

    /// The place in time of the order that was queued last.
    pub fn priority_last(&self) -> u64 {
        self.priority_last
    }

    /// A book with these orders and stops, in any order.
    ///
    /// # Errors
    /// When two share a place or an id, a place is after `priority_last`, or shares are not within
    /// their limits.
    pub fn restore(priority_last: u64, mut orders: Vec<Resting>, stops: Vec<Stop>) -> Result<Self, NotABook> {
        let mut book = Self {
            priority_last,
            ..Self::default()
        };
        orders.sort_unstable_by_key(|order| order.priority);
        let mut priority = 0;
        for order in orders {
            let fits = order.priority > priority
                && order.priority <= priority_last
                && (1..=QUANTITY_MAX).contains(&order.quantity)
                && (1..=order.quantity).contains(&order.leaves)
                && (1..=order.leaves).contains(&order.visible)
                && (0..=QUANTITY_MAX).contains(&order.display);
            if !fits || book.orders.find(order.order_id).is_some() {
                return Err(NotABook);
            }
            priority = order.priority;
            book.append(Order {
                order_id: order.order_id,
                account_id: order.account_id,
                price: order.price,
                quantity: shares(order.quantity),
                leaves: shares(order.leaves),
                visible: shares(order.visible),
                display: shares(order.display),
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
        for stop in stops {
            if book.knows(stop.order_id) || stop.placed > priority_last || !(1..=QUANTITY_MAX).contains(&stop.quantity)
            {
                return Err(NotABook);
            }
            book.stops.insert(stop);
        }
        Ok(book)
    }
}
