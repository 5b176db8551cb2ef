//! The book itself: resting orders in the queues of their levels, and the stops beside them.

use brokerx_schemas::Reason;

use super::ladder::Ladder;
use super::orders::{NONE, Order, Orders};
use super::stops::Stops;
use super::types::{Effects, Side};

/// The book of one symbol.
#[derive(Clone, Debug)]
pub struct Book {
    pub(super) orders: Orders,
    pub(super) bids: Ladder,
    pub(super) asks: Ladder,
    pub(super) stops: Stops,
    /// The place in time of the order that was queued last.
    pub(super) priority_last: u64,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            orders: Orders::default(),
            bids: Ladder::new(Side::Buy),
            asks: Ladder::new(Side::Sell),
            stops: Stops::default(),
            priority_last: 0,
        }
    }
}

impl Book {
    /// Makes room for this many resting orders, so that the book does not grow while it trades.
    pub fn reserve(&mut self, orders: usize) {
        self.orders.reserve(orders);
    }

    /// The slot of an order, when this account owns it.
    pub(super) fn find_of(&self, order_id: i64, account_id: i64) -> Result<u32, Reason> {
        let slot = self.orders.find(order_id).ok_or(Reason::OrderClosed)?;
        if self.orders.get(slot).account_id == account_id {
            Ok(slot)
        } else {
            Err(Reason::NotFound)
        }
    }

    pub(super) fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    pub(super) fn ladder_mut(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// Queues an order behind all others at its price.
    pub(super) fn append(&mut self, mut order: Order) {
        let ladder = match order.side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let level_index = ladder.find_or_open(order.price);
        let level = ladder.level(level_index);
        let tail = level.tail;
        order.level = level_index;
        order.previous = tail;
        order.next = NONE;
        let (visible, hidden) = (i64::from(order.visible), i64::from(order.hidden()));
        let slot = self.orders.insert(order);
        let level = ladder.level_mut(level_index);
        level.tail = slot;
        if tail == NONE {
            level.head = slot;
        } else {
            self.orders.set_next(tail, slot);
        }
        ladder.add(level_index, visible, hidden, 1);
    }

    /// Takes an order out of its queue, and closes its level when that is empty then.
    pub(super) fn take_out(&mut self, slot: u32, effects: &mut Effects) -> Order {
        let order = self.orders.remove(slot);
        effects.touch(order.side, order.price);
        self.unlink(slot, &order);
        let (visible, hidden) = (i64::from(order.visible), i64::from(order.hidden()));
        self.ladder_mut(order.side).add(order.level, -visible, -hidden, -1);
        order
    }

    /// Joins the neighbours of an order in its queue.
    fn unlink(&mut self, slot: u32, order: &Order) {
        if order.previous != NONE {
            self.orders.set_next(order.previous, order.next);
        }
        if order.next != NONE {
            self.orders.set_previous(order.next, order.previous);
        }
        let level = self.ladder_mut(order.side).level_mut(order.level);
        if level.head == slot {
            level.head = order.next;
        }
        if level.tail == slot {
            level.tail = order.previous;
        }
    }

    /// Moves an order to the end of its queue.
    pub(super) fn move_to_end(&mut self, slot: u32) {
        let order = *self.orders.get(slot);
        if order.next == NONE {
            return;
        }
        self.unlink(slot, &order);
        let level = self.ladder_mut(order.side).level_mut(order.level);
        let tail = std::mem::replace(&mut level.tail, slot);
        self.orders.set_next(tail, slot);
        self.orders.set_previous(slot, tail);
        self.orders.set_next(slot, NONE);
    }
}
