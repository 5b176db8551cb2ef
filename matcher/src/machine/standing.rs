//! How the standing of an instrument changes: told to everybody, and the freeze of a broken book.

use brokerx_schemas::{BookCommand, Reason};
use brokerx_topics::machine::{Context, Outputs};

use super::publish::Publisher;
use super::state::Matcher;
use crate::book::Broken;

impl Matcher {
    /// Publishes a standing that has changed.
    pub(super) fn publish_standing(
        &mut self,
        context: &Context,
        listing: usize,
        note: Option<String>,
        outputs: &mut Outputs,
    ) {
        let listing = &mut self.listings[listing];
        listing.next_sequence();
        listing.instrument.status = listing.standing.status();
        listing.instrument.version += 1;
        listing.instrument.updated_us = context.now_us();
        let mut publisher = Publisher::new(&self.routes, context, outputs);
        publisher.status_change(listing, note);
        publisher.instrument(listing);
    }

    /// Stops one book for good.
    pub(super) fn freeze(&mut self, context: &Context, listing: usize, broken: &Broken, outputs: &mut Outputs) {
        let symbol = self.listings[listing].instrument.symbol;
        tracing::error!(%symbol, %broken, offset = context.offset, "a broken invariant froze a book");
        let about = |command: &&BookCommand| match command {
            BookCommand::NewOrder(order) => order.symbol == symbol,
            BookCommand::ReplaceBookOrder(replace) => replace.symbol == symbol,
            BookCommand::CancelBookOrder(cancel) => cancel.symbol == symbol,
            _ => false,
        };
        let diagnosis: Vec<_> = self.recent.iter().filter(about).cloned().collect();
        for command in &diagnosis {
            tracing::error!(%symbol, ?command, "a command before the freeze");
        }
        self.diagnoses.insert(symbol, diagnosis);
        self.listings[listing].standing.frozen = true;
        self.listings[listing].uncrossing = false;
        self.publish_standing(context, listing, Some(broken.to_string()), outputs);
        // Stops on their way into the book have nowhere to go.
        self.queue_triggered();
        let mut publisher = Publisher::new(&self.routes, context, outputs);
        self.triggered.retain(|triggered| {
            let stop = triggered.stop;
            if triggered.listing == listing {
                publisher.order_ended(symbol, stop.order_id, stop.account_id, Reason::Frozen, stop.quantity);
            }
            triggered.listing != listing
        });
    }
}
