//! The reopening of a book that was collected: a call auction.
//!
//! When trading resumes, what crosses trades at one price, best prices first and first come first
//! served on both sides. Orders that give way to prevent self-trades can leave the book crossed; then
//! another auction follows at once, at its own price. After it, market orders that were collected end,
//! and the stops that the last price has reached enter.

use brokerx_schemas::Reason;
use brokerx_topics::machine::{Context, Outputs};

use super::state::Matcher;
use super::work::{EVENTS_MAX, Work};
use crate::book::Ticks;

impl Matcher {
    /// Puts the reopening of a listing on the stack.
    pub(super) fn reopen(&mut self, listing: usize) {
        self.listings[listing].uncrossing = true;
        self.work.push(Work::Auction { listing, price: None });
    }

    /// A step of the auction.
    pub(super) fn uncross(&mut self, context: &Context, index: usize, price: Option<Ticks>, outputs: &mut Outputs) {
        let listing = &mut self.listings[index];
        let reference = listing.ticks(listing.reference_cents());
        let Some(price) = price.or_else(|| listing.book.auction_price(reference)) else {
            return self.finish_reopening(index);
        };
        self.effects.clear();
        let done = listing.book.uncross(price, &mut self.effects, EVENTS_MAX);
        self.publish_step(context, index, Reason::SelfTrade, outputs);
        if let Err(broken) = self.check(index) {
            self.freeze(context, index, &broken, outputs);
        } else {
            self.work.push(Work::Auction {
                listing: index,
                price: (!done).then_some(price),
            });
        }
        self.account_for(index);
    }

    fn finish_reopening(&mut self, index: usize) {
        self.listings[index].uncrossing = false;
        self.gather_reached(index);
        self.queue_triggered();
        let order_ids = self.listings[index].book.immediate_ids();
        self.push_ends(index, order_ids, Reason::NoLiquidity);
        self.account_for(index);
    }
}
