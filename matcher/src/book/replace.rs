//! New terms for a resting order.

use brokerx_schemas::{BookStatus, Reason};

use super::orders::Order;
use super::quantity::shares;
use super::queues::Book;
use super::types::{Answer, Effects, Incoming, Progress, Replacement};

impl Book {
    /// Gives a resting order new terms. With the same price and no larger quantity it keeps its
    /// place in the queue; anything else sends it to the end, and when its new price crosses it
    /// trades at once as the taker. Of an iceberg the hidden shares shrink first. A new total that has
    /// traded already cancels it, which only logs of the first version ask for: since then the machine
    /// decides that before.
    ///
    /// The change is refused, and the order stays as it was, its place included, when it is
    /// post-only and would trade, or when it would have to give way to another order of its
    /// account. With `CancelResting` that other order gives way.
    ///
    /// While the book `collects` nothing trades: the order rests on its new terms.
    pub fn replace(
        &mut self,
        terms: &Replacement,
        collects: bool,
        effects: &mut Effects,
        events_max: usize,
    ) -> Progress {
        let slot = match self.find_of(terms.order_id, terms.account_id) {
            Ok(slot) => slot,
            Err(reason) => return Progress::Done(Answer::rejected(reason, 0)),
        };
        let old = *self.orders.get(slot);
        let quantity = shares(terms.quantity);
        let filled = old.quantity - old.leaves;
        if quantity <= filled {
            self.take_out(slot, effects);
            return Progress::Done(Answer::cancelled(Reason::CancelledByClient, i64::from(old.leaves)));
        }
        let leaves = quantity - filled;
        if terms.price == old.price && quantity <= old.quantity {
            self.shrink(slot, &old, leaves, terms, effects);
            return Progress::Done(Answer {
                status: BookStatus::Replaced,
                reason: None,
                leaves: i64::from(leaves),
            });
        }
        let incoming = Incoming {
            order_id: old.order_id,
            account_id: old.account_id,
            side: old.side,
            limit: terms.price,
            quantity: terms.quantity,
            leaves: i64::from(leaves),
            time_in_force: terms.time_in_force,
            post_only: old.post_only,
            display: i64::from(old.display),
            self_trade_prevention: old.self_trade_prevention,
            replaces: true,
        };
        if collects {
            if let Some(reason) = self.post_only_refusal(&incoming) {
                return Progress::Done(Answer::rejected(reason, i64::from(old.leaves)));
            }
            self.take_out(slot, effects);
            return Progress::Done(self.rest(incoming, effects));
        }
        if let Some(reason) = self.refusal(&incoming) {
            return Progress::Done(Answer::rejected(reason, i64::from(old.leaves)));
        }
        self.take_out(slot, effects);
        self.sweep(incoming, effects, events_max)
    }

    /// Fewer shares or as many, at the same place in the queue.
    fn shrink(&mut self, slot: u32, old: &Order, leaves: u32, terms: &Replacement, effects: &mut Effects) {
        let visible = old.visible.min(leaves);
        let hidden = leaves - visible;
        if leaves != old.leaves {
            let visible_change = i64::from(visible) - i64::from(old.visible);
            let hidden_change = i64::from(hidden) - i64::from(old.hidden());
            if visible_change != 0 {
                effects.touch(old.side, old.price);
            }
            self.ladder_mut(old.side)
                .add(old.level, visible_change, hidden_change, 0);
        }
        self.orders.edit(slot, |order| {
            order.quantity = shares(terms.quantity);
            order.leaves = leaves;
            order.visible = visible;
            order.time_in_force = terms.time_in_force;
        });
    }
}
