//! Orders that end by the rules: with their session, by a delisting, after an auction.

use brokerx_schemas::Reason;
use brokerx_topics::machine::{Context, Outputs};

use super::publish::Publisher;
use super::state::Matcher;
use super::work::{EVENTS_MAX, Work};
use crate::book::TimeInForce;

impl Matcher {
    /// Puts the end of the orders that do not outlive the session on the stack: DAY orders and stops,
    /// and market orders that were collected.
    pub(super) fn end_session(&mut self, listing: usize) {
        let book = &self.listings[listing].book;
        let mut order_ids = book.order_ids(|time_in_force| time_in_force == TimeInForce::Day);
        order_ids.extend(book.immediate_ids());
        self.push_ends(listing, order_ids, Reason::SessionEnded);
    }

    /// Puts the end of these orders on the stack; the first of the list will end first.
    pub(super) fn push_ends(&mut self, listing: usize, mut order_ids: Vec<i64>, cause: Reason) {
        if !order_ids.is_empty() {
            // The list is worked off from its end.
            order_ids.reverse();
            self.work.push(Work::Ends {
                listing,
                order_ids,
                cause,
            });
        }
    }

    /// Ends orders by the rules, the last of the list first, a step's worth at a time.
    pub(super) fn end_orders(
        &mut self,
        context: &Context,
        listing: usize,
        mut order_ids: Vec<i64>,
        cause: Reason,
        outputs: &mut Outputs,
    ) {
        self.effects.clear();
        let symbol = self.listings[listing].instrument.symbol;
        let keep = order_ids.len().saturating_sub(EVENTS_MAX);
        for order_id in order_ids.drain(keep..).rev() {
            if let Some((account_id, leaves)) = self.listings[listing].book.end(order_id, &mut self.effects) {
                Publisher::new(&self.routes, context, outputs).order_ended(symbol, order_id, account_id, cause, leaves);
            }
        }
        self.publish_step(context, listing, cause, outputs);
        if !order_ids.is_empty() {
            self.work.push(Work::Ends {
                listing,
                order_ids,
                cause,
            });
        }
        let broken = self.check(listing).err();
        if let Some(broken) = broken.filter(|_| !self.listings[listing].standing.frozen) {
            self.freeze(context, listing, &broken, outputs);
        }
        self.account_for(listing);
    }
}
