//! Commands on orders.

use brokerx_schemas::{CancelBookOrder, NewOrder, Reason, ReplaceBookOrder};
use brokerx_topics::machine::{Context, Outputs};

use super::checks::{Admitted, Terms};
use super::entrant::{Asked, Entrant};
use super::publish::Publisher;
use super::state::Matcher;
use super::work::EVENTS_MAX;
use crate::book::{Answer, Incoming, Progress, Replacement};

impl Matcher {
    pub(super) fn new_order(&mut self, context: &Context, order: &NewOrder, outputs: &mut Outputs) {
        let asked = Asked {
            account_id: order.account_id,
            command_id: order.command_id,
            order_id: order.order_id,
            symbol: order.symbol,
        };
        let admitted = match context.is_past(order.deadline_us) {
            true => Err(Reason::ExpiredRequest),
            false => self.admit(order),
        };
        let (listing, admitted) = match admitted {
            Ok(admitted) => admitted,
            Err(reason) => return self.refuse(context, &asked, reason, order.quantity, outputs),
        };
        self.effects.clear();
        let book = &mut self.listings[listing].book;
        let progress = match admitted {
            Admitted::Enters(incoming) => book.place(incoming, &mut self.effects, EVENTS_MAX),
            Admitted::IsCollected(incoming) => Progress::Done(book.collect(incoming, &mut self.effects)),
            Admitted::IsHeld(stop) => {
                let answer = book.hold(stop);
                // The last trade may have reached its price already.
                self.gather_reached(listing);
                Progress::Done(answer)
            }
        };
        self.conclude(context, listing, Entrant::Command(asked), progress, outputs);
    }

    pub(super) fn proceed(
        &mut self,
        context: &Context,
        listing: usize,
        entrant: Entrant,
        incoming: Incoming,
        outputs: &mut Outputs,
    ) {
        self.effects.clear();
        let progress = self.listings[listing]
            .book
            .proceed(incoming, &mut self.effects, EVENTS_MAX);
        self.conclude(context, listing, entrant, progress, outputs);
    }

    pub(super) fn replace_order(&mut self, context: &Context, replace: &ReplaceBookOrder, outputs: &mut Outputs) {
        let asked = Asked {
            account_id: replace.account_id,
            command_id: replace.command_id,
            order_id: replace.order_id,
            symbol: replace.symbol,
        };
        let terms = match context.is_past(replace.deadline_us) {
            true => Err(Reason::ExpiredRequest),
            false => self.admit_terms(replace),
        };
        let (listing, terms) = match terms {
            Ok(terms) => terms,
            Err(reason) => {
                let leaves = self.leaves_of(replace);
                return self.refuse(context, &asked, reason, leaves, outputs);
            }
        };
        self.effects.clear();
        let order_id = replace.order_id.0;
        let book = &mut self.listings[listing].book;
        let progress = match terms {
            Terms::Resting {
                price,
                time_in_force,
                collects,
            } => {
                let terms = Replacement {
                    order_id,
                    account_id: replace.account_id.0,
                    price,
                    quantity: replace.quantity,
                    time_in_force,
                };
                book.replace(&terms, collects, &mut self.effects, EVENTS_MAX)
            }
            Terms::Traded => {
                book.end(order_id, &mut self.effects);
                Progress::Done(Answer::filled())
            }
            Terms::Stop { limit, time_in_force } => {
                Progress::Done(book.replace_stop(order_id, limit, replace.quantity, time_in_force))
            }
        };
        self.conclude(context, listing, Entrant::Command(asked), progress, outputs);
    }

    /// What a refusal says is left in the book, if the order is there and the owner asks.
    fn leaves_of(&self, replace: &ReplaceBookOrder) -> i64 {
        let Some(listing) = self.listing(replace.symbol) else {
            return 0;
        };
        let resting = listing.book.order(replace.order_id.0);
        let resting = resting.map(|order| (order.account_id, order.leaves));
        let stop = || listing.book.stop(replace.order_id.0);
        let found = resting.or_else(|| stop().map(|stop| (stop.account_id, stop.quantity)));
        found
            .filter(|(account_id, _)| *account_id == replace.account_id.0)
            .map_or(0, |(_, leaves)| leaves)
    }

    pub(super) fn cancel_order(&mut self, context: &Context, cancel: &CancelBookOrder, outputs: &mut Outputs) {
        let asked = Asked {
            account_id: cancel.account_id,
            command_id: cancel.command_id,
            order_id: cancel.order_id,
            symbol: cancel.symbol,
        };
        let listing = match context.is_past(cancel.deadline_us) {
            true => Err(Reason::ExpiredRequest),
            // The orders of a delisted instrument have ended.
            false => match self.by_symbol.get(&cancel.symbol) {
                Some(listing) => self.may_cancel(*listing),
                None => Err(Reason::UnknownSymbol),
            },
        };
        let listing = match listing {
            Ok(listing) => listing,
            Err(reason) => return self.refuse(context, &asked, reason, 0, outputs),
        };
        self.effects.clear();
        let answer = self.listings[listing]
            .book
            .cancel(cancel.order_id.0, cancel.account_id.0, &mut self.effects);
        self.conclude(
            context,
            listing,
            Entrant::Command(asked),
            Progress::Done(answer),
            outputs,
        );
    }

    /// A frozen book is left as it is for the diagnosis, until it is delisted: then its orders have ended.
    fn may_cancel(&self, listing: usize) -> Result<usize, Reason> {
        let standing = self.listings[listing].standing;
        match (standing.frozen, standing.delisted) {
            (true, true) if self.logic_version >= 3 => Err(Reason::OrderClosed),
            (true, _) => Err(Reason::Frozen),
            (false, _) => Ok(listing),
        }
    }

    fn refuse(&mut self, context: &Context, asked: &Asked, reason: Reason, leaves: i64, outputs: &mut Outputs) {
        let answer = Answer::rejected(reason, leaves);
        Publisher::new(&self.routes, context, outputs).command_done(asked, &answer);
    }
}
