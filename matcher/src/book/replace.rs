//! New terms for a resting order.

use brokerx_schemas::{BookStatus, Reason};

use super::{Answer, Book, Effects, Incoming, Progress, Replacement};

impl Book {
    /// Gives a resting order new terms. A price unchanged and a quantity not larger keep its place in
    /// the queue; anything else sends it to the end, and when it crosses there it trades at once as
    /// the taker. A new total that is traded already ends it.
    ///
    /// It is refused, and stays as it was, its place included, when a post-only order would trade, or
    /// when it would have to give way to an own order. With `CancelResting` the own order gives way.
    pub fn replace(&mut self, terms: &Replacement, effects: &mut Effects, events_max: usize) -> Progress {
        let slot = match self.find_of(terms.order_id, terms.account_id) {
            Ok(slot) => slot,
            Err(reason) => return Progress::Done(Answer::rejected(reason, 0)),
        };
        let old = *self.orders.get(slot);
        let leaves = terms.quantity - (old.quantity - old.leaves);
        if leaves <= 0 {
            self.take_out(slot, effects);
            return Progress::Done(Answer::cancelled(Reason::CancelledByClient, old.leaves));
        }
        if terms.price == old.price && terms.quantity <= old.quantity {
            if leaves != old.leaves {
                effects.touch(old.side, old.price);
                self.ladder_mut(old.side).add(old.level, leaves - old.leaves, 0);
            }
            self.orders.set_terms(slot, terms.quantity, leaves, terms.time_in_force);
            return Progress::Done(Answer {
                status: BookStatus::Replaced,
                reason: None,
                leaves,
            });
        }
        let incoming = Incoming {
            order_id: old.order_id,
            account_id: old.account_id,
            side: old.side,
            limit: terms.price,
            quantity: terms.quantity,
            leaves,
            time_in_force: terms.time_in_force,
            post_only: old.post_only,
            self_trade_prevention: old.self_trade_prevention,
            replaces: true,
        };
        if let Some(reason) = self.refusal(&incoming) {
            return Progress::Done(Answer::rejected(reason, old.leaves));
        }
        self.take_out(slot, effects);
        self.sweep(incoming, effects, events_max)
    }
}
