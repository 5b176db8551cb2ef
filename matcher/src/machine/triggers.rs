//! Stops that trades have reached: collected, then queued in the order of their placement.

use super::state::Matcher;
use super::work::{Triggered, Work};

impl Matcher {
    /// Collects the stops that the last trade has reached, when the book trades.
    pub(super) fn gather_reached(&mut self, index: usize) {
        let listing = &mut self.listings[index];
        let Some(price_cents) = listing.last_price_cents.filter(|_| listing.standing.trades()) else {
            return;
        };
        let price = listing.ticks(price_cents);
        while let Some(stop) = listing.book.take_triggered(price) {
            self.reached.push(Triggered {
                listing: index,
                stop,
                price_cents,
            });
        }
    }

    /// Queues the stops that were collected behind those that wait already.
    pub(super) fn queue_triggered(&mut self) {
        if self.reached.is_empty() {
            return;
        }
        // When stops wait already, so does the work that lets them in.
        if self.triggered.is_empty() {
            self.work.push(Work::Triggered);
        }
        self.reached.sort_unstable_by_key(|triggered| triggered.stop.placed);
        self.triggered.extend(self.reached.drain(..));
    }
}
