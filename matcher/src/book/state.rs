//! The orders of a book from outside: for snapshots and for whoever ends them.

use serde::{Deserialize, Serialize};

use super::orders::{NONE, Order};
use super::{Book, QUANTITY_MAX, SelfTradePrevention, Side, Stop, Ticks, TimeInForce, shares};

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

    /// The orders and stops whose time in force is meant by `which`, first come first. It does not
    /// rely on the queues, so it works on a broken book too.
    pub fn order_ids(&self, which: impl Fn(TimeInForce) -> bool) -> Vec<i64> {
        let orders = self.orders.iter_from(0).map(|(_, order)| order);
        let orders = orders.map(|order| (order.time_in_force, order.priority, order.order_id));
        let stops = self.stops.iter();
        let stops = stops.map(|stop| (stop.time_in_force, stop.placed, stop.order_id));
        let mut found: Vec<(u64, i64)> = orders
            .chain(stops)
            .filter(|(time_in_force, ..)| which(*time_in_force))
            .map(|(_, priority, order_id)| (priority, order_id))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, order_id)| order_id).collect()
    }

    /// The resting orders that are to be ended after the auction, first come first.
    pub fn immediate_ids(&self) -> Vec<i64> {
        if !self.has_immediate() {
            return Vec::new();
        }
        let orders = self.orders.iter_from(0).map(|(_, order)| order);
        let mut found: Vec<(u64, i64)> = orders
            .filter(|order| !order.time_in_force.rests())
            .map(|order| (order.priority, order.order_id))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, order_id)| order_id).collect()
    }

    /// The resting orders of one side: best price first, then first come.
    pub fn queue(&self, side: Side) -> impl Iterator<Item = Resting> {
        self.ladder(side).iter().flat_map(|level| {
            let first = (level.head != NONE).then_some(level.head);
            let slots = std::iter::successors(first, |slot| {
                let next = self.orders.get(*slot).next;
                (next != NONE).then_some(next)
            });
            slots.map(|slot| Resting::of(self.orders.get(slot)))
        })
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
