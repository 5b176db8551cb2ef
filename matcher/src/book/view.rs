//! What a book tells: its levels, its orders, and which of them the rules are to end.

use super::ladder::Level;
use super::orders::NONE;
use super::queues::Book;
use super::resting::Resting;
use super::types::{LevelView, Side, Ticks, TimeInForce};

impl Book {
    /// Whether an order or a stop has this id.
    pub fn knows(&self, order_id: i64) -> bool {
        self.orders.find(order_id).is_some() || self.stops.get(order_id).is_some()
    }

    /// Whether orders rest that are to be ended after the auction.
    pub fn has_immediate(&self) -> bool {
        self.orders.immediate_count() > 0
    }

    /// A resting order; none when it is not in the book.
    pub fn order(&self, order_id: i64) -> Option<Resting> {
        self.orders
            .find(order_id)
            .map(|slot| Resting::of(self.orders.get(slot)))
    }

    /// How many orders rest.
    pub fn order_count(&self) -> usize {
        self.orders.count()
    }

    /// The levels of one side, best price first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = LevelView> {
        self.ladder(side).iter().map(Level::view)
    }

    /// How many levels one side has.
    pub fn level_count(&self, side: Side) -> usize {
        self.ladder(side).len()
    }

    /// The level at a price; one of zero shares when there is none.
    pub fn level(&self, side: Side, price: Ticks) -> LevelView {
        let ladder = self.ladder(side);
        match ladder.find(price) {
            Some(level) => ladder.level(level).view(),
            None => LevelView {
                price,
                quantity: 0,
                order_count: 0,
            },
        }
    }

    /// A sum over the content of all orders, their places in time included, kept up to date.
    pub fn hash(&self) -> u64 {
        self.orders
            .hash()
            .wrapping_add(self.stops.hash())
            .wrapping_add(self.priority_last)
    }

    /// The orders and stops that `which` chooses by their time in force, first come first. The
    /// queues are not used, so this works on a broken book too.
    pub fn order_ids(&self, which: impl Fn(TimeInForce) -> bool) -> Vec<i64> {
        let orders = self.orders.iter_from(0).map(|(_, order)| order);
        let orders = orders.map(|order| (order.time_in_force, order.priority, order.order_id));
        let stops = self.stops.iter();
        let stops = stops.map(|stop| (stop.time_in_force, stop.placed, stop.order_id));
        let found = orders
            .chain(stops)
            .filter(|(time_in_force, ..)| which(*time_in_force))
            .map(|(_, priority, order_id)| (priority, order_id));
        first_come_first(found)
    }

    /// The resting orders that are to be ended after the auction, first come first.
    pub fn immediate_ids(&self) -> Vec<i64> {
        if !self.has_immediate() {
            return Vec::new();
        }
        let orders = self.orders.iter_from(0).map(|(_, order)| order);
        let found = orders
            .filter(|order| !order.time_in_force.rests())
            .map(|order| (order.priority, order.order_id));
        first_come_first(found)
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
}

/// Ids in the order of their place in time, which comes first in each pair.
fn first_come_first(found: impl Iterator<Item = (u64, i64)>) -> Vec<i64> {
    let mut found: Vec<(u64, i64)> = found.collect();
    found.sort_unstable();
    found.into_iter().map(|(_, order_id)| order_id).collect()
}
