//! An order book: price, then time.
//!
//! Layout: resting orders live in a slab, one cache line each, and are chained first-in-first-out
//! within their price level; each side keeps its levels sorted with the best one last, so that what
//! happens near the top moves little memory. An order is found by its id through an open-addressing
//! index. Nothing is allocated once slab, levels and index have grown to the size of the book.
//!
//! Memory of a resting order: 64 bytes, and 11 to 22 bytes of index; a level takes 56 bytes. Vectors
//! grow by doubling and keep their size, so a book holds at most about 200 bytes per order of its
//! fullest moment. A stop takes about 250 bytes.
//!
//! Stops wait beside the book until a trade price reaches them. An iceberg shows a part of its shares;
//! a level keeps what it shows and what it hides apart. While nothing may trade the book can collect
//! orders, and may then be crossed until an auction uncrosses it.
//!
//! Invariants, checked by [`Book::check`] after each command and kept on in release builds: the book
//! is not crossed while it trades, no level is empty, what the levels say adds up to what the orders
//! say, and no stop is held that the last trade has reached.
//!
//! Limits: a quantity is at most [`QUANTITY_MAX`], so that no sum can overflow. A level that opens far
//! from the best price moves the levels in between (16 bytes each).

mod auction;
mod index;
mod invariants;
mod ladder;
mod matching;
mod orders;
mod replace;
mod state;
mod stops;
mod types;

use brokerx_schemas::Reason;

use ladder::Ladder;
use orders::{Order, Orders};
use stops::Stops;

pub use invariants::{Broken, Trading};
pub use state::Resting;
pub use types::*;

/// The largest quantity of one order: four thousand million of them add up without overflow.
pub const QUANTITY_MAX: i64 = 1_000_000_000;

/// Shares of one order as the slab keeps them.
///
/// # Panics
/// When they are not within 0 and [`QUANTITY_MAX`], which the callers of the book see to.
fn shares(quantity: i64) -> u32 {
    u32::try_from(quantity).expect("a quantity was checked where it came in")
}

/// The book of one symbol.
#[derive(Clone, Debug)]
pub struct Book {
    orders: Orders,
    bids: Ladder,
    asks: Ladder,
    stops: Stops,
    /// The place in time of the order that was queued last.
    priority_last: u64,
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
    /// Brings in a new order: checks post-only and fill-or-kill, trades, then rests or cancels what
    /// is left. Stops after `events_max` events and answers `More`; then [`Book::proceed`] goes on.
    pub fn place(&mut self, incoming: Incoming, effects: &mut Effects, events_max: usize) -> Progress {
        match self.refusal(&incoming) {
            Some(reason) => Progress::Done(Answer::rejected(reason, incoming.leaves)),
            None => self.sweep(incoming, effects, events_max),
        }
    }

    /// Takes in a new order while nothing trades: it rests, whatever its time in force. One that is
    /// immediate should be [ended](Book::end) after the auction.
    pub fn collect(&mut self, incoming: Incoming, effects: &mut Effects) -> Answer {
        match self.post_only_refusal(&incoming) {
            Some(reason) => Answer::rejected(reason, incoming.leaves),
            None => self.rest(incoming, effects),
        }
    }

    /// Goes on with an order that answered `More`; nothing else may have touched the book since.
    pub fn proceed(&mut self, incoming: Incoming, effects: &mut Effects, events_max: usize) -> Progress {
        self.sweep(incoming, effects, events_max)
    }

    /// Takes an order or a stop out on its owner's wish.
    pub fn cancel(&mut self, order_id: i64, account_id: i64, effects: &mut Effects) -> Answer {
        let by_client = |leaves| Answer::cancelled(Reason::CancelledByClient, leaves);
        match self.find_of(order_id, account_id) {
            Ok(slot) => by_client(i64::from(self.take_out(slot, effects).leaves)),
            Err(reason) => match self.stops.get(order_id) {
                Some(stop) if stop.account_id == account_id => {
                    let leaves = stop.quantity;
                    self.stops.remove(order_id);
                    by_client(leaves)
                }
                Some(_) => Answer::rejected(Reason::NotFound, 0),
                None => Answer::rejected(reason, 0),
            },
        }
    }

    /// Takes an order or a stop out by the rules (expiry, delisting). Returns its owner and the shares
    /// that were left; none when it is not in the book.
    pub fn end(&mut self, order_id: i64, effects: &mut Effects) -> Option<(i64, i64)> {
        match self.orders.find(order_id) {
            Some(slot) => {
                let order = self.take_out(slot, effects);
                Some((order.account_id, i64::from(order.leaves)))
            }
            None => self.stops.remove(order_id).map(|stop| (stop.account_id, stop.quantity)),
        }
    }

    /// Whether an order or a stop has this id.
    pub fn knows(&self, order_id: i64) -> bool {
        self.orders.find(order_id).is_some() || self.stops.get(order_id).is_some()
    }

    /// Whether orders rest that are to be ended after the auction.
    pub fn has_immediate(&self) -> bool {
        self.orders.immediate_count() > 0
    }

    /// Makes room for this many resting orders, so that the book does not grow while it trades.
    pub fn reserve(&mut self, orders: usize) {
        self.orders.reserve(orders);
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
        self.ladder(side).iter().map(LevelView::of)
    }

    /// How many levels one side has.
    pub fn level_count(&self, side: Side) -> usize {
        self.ladder(side).len()
    }

    /// The level at a price; one of zero shares when there is none.
    pub fn level(&self, side: Side, price: Ticks) -> LevelView {
        let ladder = self.ladder(side);
        match ladder.find(price) {
            Some(level) => LevelView::of(ladder.level(level)),
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

    fn find_of(&self, order_id: i64, account_id: i64) -> Result<u32, Reason> {
        let slot = self.orders.find(order_id).ok_or(Reason::OrderClosed)?;
        if self.orders.get(slot).account_id == account_id {
            Ok(slot)
        } else {
            Err(Reason::NotFound)
        }
    }

    fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn ladder_mut(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// Queues an order behind all others at its price.
    fn append(&mut self, mut order: Order) {
        let ladder = match order.side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let level_index = ladder.find_or_open(order.price);
        let level = ladder.level(level_index);
        let tail = level.tail;
        order.level = level_index;
        order.previous = tail;
        order.next = orders::NONE;
        let (visible, hidden) = (i64::from(order.visible), i64::from(order.hidden()));
        let slot = self.orders.insert(order);
        let level = ladder.level_mut(level_index);
        level.tail = slot;
        if tail == orders::NONE {
            level.head = slot;
        } else {
            self.orders.set_next(tail, slot);
        }
        ladder.add(level_index, visible, hidden, 1);
    }

    /// Takes an order out of its queue, its level with it when that is empty then.
    fn take_out(&mut self, slot: u32, effects: &mut Effects) -> Order {
        let order = self.orders.remove(slot);
        effects.touch(order.side, order.price);
        self.unlink(slot, &order);
        let (visible, hidden) = (i64::from(order.visible), i64::from(order.hidden()));
        self.ladder_mut(order.side).add(order.level, -visible, -hidden, -1);
        order
    }

    /// Joins the neighbours of an order in its queue.
    fn unlink(&mut self, slot: u32, order: &Order) {
        if order.previous != orders::NONE {
            self.orders.set_next(order.previous, order.next);
        }
        if order.next != orders::NONE {
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
    fn move_to_end(&mut self, slot: u32) {
        let order = *self.orders.get(slot);
        if order.next == orders::NONE {
            return;
        }
        self.unlink(slot, &order);
        let level = self.ladder_mut(order.side).level_mut(order.level);
        let tail = std::mem::replace(&mut level.tail, slot);
        self.orders.set_next(tail, slot);
        self.orders.set_previous(slot, tail);
        self.orders.set_next(slot, orders::NONE);
    }
}
