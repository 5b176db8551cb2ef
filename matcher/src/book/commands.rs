//! What a book is asked to do with an order: place, collect, cancel, end.

use brokerx_schemas::Reason;

use super::queues::Book;
use super::types::{Answer, Effects, Incoming, Progress};

impl Book {
    /// Brings in a new order: checks post-only and fill-or-kill, trades, then rests or cancels what
    /// is left. Stops after `events_max` events and answers `More`; then [`Book::proceed`] goes on.
    pub fn place(&mut self, incoming: Incoming, effects: &mut Effects, events_max: usize) -> Progress {
        match self.refusal(&incoming) {
            Some(reason) => Progress::Done(Answer::rejected(reason, incoming.leaves)),
            None => self.sweep(incoming, effects, events_max),
        }
    }

    /// Takes in a new order while nothing trades: it rests, whatever its time in force. An
    /// immediate order should be [ended](Book::end) after the auction.
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

    /// Takes out an order or a stop because its owner asks for it.
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

    /// Takes out an order or a stop because the rules end it (expiry, delisting). Returns its owner
    /// and the shares that were left; none when it is not in the book.
    pub fn end(&mut self, order_id: i64, effects: &mut Effects) -> Option<(i64, i64)> {
        match self.orders.find(order_id) {
            Some(slot) => {
                let order = self.take_out(slot, effects);
                Some((order.account_id, i64::from(order.leaves)))
            }
            None => self.stops.remove(order_id).map(|stop| (stop.account_id, stop.quantity)),
        }
    }
}
