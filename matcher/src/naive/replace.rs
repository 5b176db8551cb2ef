//! New terms of an order or a stop.

use brokerx_schemas::{BookStatus, Reason, ReplaceBookOrder, TimeInForce};

use super::place::done;
use super::{Decision, NaiveBook, NaiveOrder, NaiveStop, Said};

impl NaiveBook {
    /// New terms that arrived within their deadline.
    pub fn replace(&mut self, replace: &ReplaceBookOrder) -> Vec<Said> {
        let mut said = Vec::new();
        let decision = self.try_replace(replace, &mut said);
        said.push(done(decision));
        self.let_stops_in(&mut said);
        said
    }

    fn try_replace(&mut self, replace: &ReplaceBookOrder, said: &mut Vec<Said>) -> Decision {
        if let Some(stop) = self.find_stop(replace.order_id.0) {
            return self.replace_stop(replace, &stop);
        }
        let Some((side, old)) = self.find(replace.order_id.0) else {
            return Err((Reason::OrderClosed, 0));
        };
        if old.account_id != replace.account_id.0 {
            return Err((Reason::NotFound, 0));
        }
        let refuse = |reason| Err((reason, old.leaves));
        let rests = |time_in_force| matches!(time_in_force, TimeInForce::Day | TimeInForce::Gtc);
        if replace.quantity < 1 || replace.quantity > 1_000_000_000 {
            return refuse(Reason::InvalidQuantity);
        }
        // A collected market order has no terms that could change.
        if !rests(old.time_in_force) {
            return refuse(Reason::InvalidOrder);
        }
        let Some(price_cents) = replace.price_cents.filter(|price| self.is_price(Some(*price))) else {
            return refuse(Reason::InvalidPrice);
        };
        if !rests(replace.time_in_force) {
            return refuse(Reason::InvalidOrder);
        }
        if let Some(reason) = self.refuses() {
            return refuse(reason);
        }
        if price_cents != old.price_cents && !self.is_within_band(price_cents) {
            return refuse(Reason::PriceBand);
        }
        let leaves = replace.quantity - old.filled;
        if leaves < 0 {
            return refuse(Reason::QuantityBelowFilled);
        }
        if leaves == 0 {
            self.remove(old.order_id);
            return Ok((BookStatus::Filled, None, 0));
        }
        if leaves > old.leaves
            && let Some(display) = old.display
            && self.shows_too_little(display, replace.quantity)
        {
            return refuse(Reason::DisplayTooSmall);
        }
        let terms = NaiveOrder {
            price_cents,
            leaves,
            shown: old.shown.min(leaves),
            time_in_force: replace.time_in_force,
            ..old.clone()
        };
        if price_cents == old.price_cents && leaves <= old.leaves {
            for order in self.side_mut(side) {
                if order.order_id == old.order_id {
                    *order = terms.clone();
                }
            }
            return Ok((BookStatus::Replaced, None, leaves));
        }
        if old.post_only && self.crosses(side, price_cents) {
            return refuse(Reason::PostOnlyWouldCross);
        }
        let before = self.clone();
        self.remove(old.order_id);
        if !self.trades() {
            self.queue(side, terms);
            return Ok((BookStatus::Replaced, None, leaves));
        }
        let (rest, prevented) = self.trade(side, terms, said);
        if prevented {
            *self = before;
            said.clear();
            return refuse(Reason::SelfTrade);
        }
        if rest.leaves == 0 {
            return Ok((BookStatus::Filled, None, 0));
        }
        let leaves = rest.leaves;
        self.queue(side, rest);
        Ok((BookStatus::Replaced, None, leaves))
    }

    fn replace_stop(&mut self, replace: &ReplaceBookOrder, stop: &NaiveStop) -> Decision {
        if stop.account_id != replace.account_id.0 {
            return Err((Reason::NotFound, 0));
        }
        let refuse = |reason| Err((reason, stop.quantity));
        if replace.quantity < 1 || replace.quantity > 1_000_000_000 {
            return refuse(Reason::InvalidQuantity);
        }
        if stop.limit_cents.is_none() && replace.price_cents.is_some() {
            return refuse(Reason::InvalidOrder);
        }
        if stop.limit_cents.is_some() && !self.is_price(replace.price_cents) {
            return refuse(Reason::InvalidPrice);
        }
        if let Some(reason) = self.refuses() {
            return refuse(reason);
        }
        let keeps = replace.price_cents == stop.limit_cents && replace.quantity <= stop.quantity;
        let replaced = NaiveStop {
            limit_cents: replace.price_cents,
            quantity: replace.quantity,
            time_in_force: replace.time_in_force,
            time: if keeps { stop.time } else { self.next_time() },
            ..stop.clone()
        };
        self.remove(stop.order_id);
        self.stops.push(replaced);
        self.stops.sort_by_key(|stop| stop.time);
        Ok((BookStatus::Replaced, None, replace.quantity))
    }
}
