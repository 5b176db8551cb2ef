//! When candles are over: which listings a tick must look at.

use brokerx_topics::machine::{Context, Outputs};

use super::publish::Publisher;
use super::state::Matcher;
use super::work::Work;

/// Listings whose candles are looked at in one piece of work.
const LISTINGS_MAX: usize = 64;

impl Matcher {
    /// Notes when the candles of a listing are next due, after they changed.
    pub(super) fn reschedule_candles(&mut self, listing: usize, before: Option<i64>) {
        let after = self.listings[listing].candles.deadline_ms();
        if before != after {
            if let Some(before) = before {
                self.candles_due.remove(&(before, listing));
            }
            self.candles_due.extend(after.map(|after| (after, listing)));
        }
    }

    /// Closes the candles of the next listings where some are over.
    pub(super) fn close_candles(&mut self, context: &Context, outputs: &mut Outputs) {
        for _ in 0..LISTINGS_MAX {
            let due = self.candles_due.first().copied();
            let Some((before, listing)) = due.filter(|(due_ms, _)| *due_ms <= context.now_ms) else {
                return;
            };
            let symbol = self.listings[listing].instrument.symbol;
            let over = self.listings[listing].candles.close(context.now_ms);
            Publisher::new(&self.routes, context, outputs).candles(symbol, over);
            self.reschedule_candles(listing, Some(before));
            self.account_for(listing);
        }
        self.work.push(Work::Candles);
    }
}
