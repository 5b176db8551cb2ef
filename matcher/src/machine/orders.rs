//! Commands on orders.

use brokerx_schemas::{BookCommand, BookStatus, CancelBookOrder, NewOrder, PackedId, Reason, ReplaceBookOrder};
use brokerx_topics::machine::{Context, Outputs, Step};

use super::publish::{Publisher, TradeTerms};
use super::{Asked, EVENTS_MAX, Matcher, Pending};
use crate::book::{Answer, Broken, Event, Incoming, Progress, Replacement, Side};

impl Matcher {
    pub(super) fn new_order(&mut self, context: &Context, order: &NewOrder, outputs: &mut Outputs) -> Step {
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
        let (listing, incoming) = match admitted {
            Ok(admitted) => admitted,
            Err(reason) => return self.refuse(context, asked, reason, order.quantity, outputs),
        };
        self.effects.clear();
        let progress = self.listings[listing]
            .book
            .place(incoming, &mut self.effects, EVENTS_MAX);
        self.conclude(context, listing, asked, Some(incoming.side), progress, outputs)
    }

    pub(super) fn proceed(
        &mut self,
        context: &Context,
        listing: usize,
        asked: Asked,
        incoming: Incoming,
        outputs: &mut Outputs,
    ) -> Step {
        self.effects.clear();
        let progress = self.listings[listing]
            .book
            .proceed(incoming, &mut self.effects, EVENTS_MAX);
        self.conclude(context, listing, asked, Some(incoming.side), progress, outputs)
    }

    pub(super) fn replace_order(
        &mut self,
        context: &Context,
        replace: &ReplaceBookOrder,
        outputs: &mut Outputs,
    ) -> Step {
        let asked = Asked {
            account_id: replace.account_id,
            command_id: replace.command_id,
            order_id: replace.order_id,
            symbol: replace.symbol,
        };
        // A refusal says what is left in the book, if the order is there and the owner asks.
        let resting = self
            .listing(replace.symbol)
            .and_then(|listing| listing.book.order(replace.order_id.0));
        let leaves = resting
            .filter(|order| order.account_id == replace.account_id.0)
            .map_or(0, |order| order.leaves);
        let admitted = match context.is_past(replace.deadline_us) {
            true => Err(Reason::ExpiredRequest),
            false => self.live(replace.symbol).and_then(|listing| {
                let order = resting.ok_or(Reason::OrderClosed)?;
                if order.account_id != replace.account_id.0 {
                    return Err(Reason::NotFound);
                }
                let (price, time_in_force) = self.admit_terms(&self.listings[listing], replace, order.price)?;
                let terms = Replacement {
                    order_id: order.order_id,
                    account_id: order.account_id,
                    price,
                    quantity: replace.quantity,
                    time_in_force,
                };
                Ok((listing, order.side, terms))
            }),
        };
        let (listing, side, terms) = match admitted {
            Ok(admitted) => admitted,
            Err(reason) => return self.refuse(context, asked, reason, leaves, outputs),
        };
        self.effects.clear();
        let progress = self.listings[listing]
            .book
            .replace(&terms, &mut self.effects, EVENTS_MAX);
        self.conclude(context, listing, asked, Some(side), progress, outputs)
    }

    pub(super) fn cancel_order(&mut self, context: &Context, cancel: &CancelBookOrder, outputs: &mut Outputs) -> Step {
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
                Some(listing) if self.listings[*listing].standing.frozen => Err(Reason::Frozen),
                Some(listing) => Ok(*listing),
                None => Err(Reason::UnknownSymbol),
            },
        };
        let listing = match listing {
            Ok(listing) => listing,
            Err(reason) => return self.refuse(context, asked, reason, 0, outputs),
        };
        self.effects.clear();
        let answer = self.listings[listing]
            .book
            .cancel(cancel.order_id.0, cancel.account_id.0, &mut self.effects);
        self.conclude(context, listing, asked, None, Progress::Done(answer), outputs)
    }

    fn refuse(&mut self, context: &Context, asked: Asked, reason: Reason, leaves: i64, outputs: &mut Outputs) -> Step {
        let answer = Answer::rejected(reason, leaves);
        Publisher::new(&self.routes, context, outputs).command_done(&asked, &answer);
        Step::Done
    }

    /// Publishes what a step did to a book and answers when the command is done. `side` is that of
    /// the incoming order, if there is one.
    fn conclude(
        &mut self,
        context: &Context,
        listing: usize,
        asked: Asked,
        side: Option<Side>,
        progress: Progress,
        outputs: &mut Outputs,
    ) -> Step {
        self.publish_step(
            context,
            listing,
            side.map(|side| (asked, side)),
            Reason::SelfTrade,
            outputs,
        );
        let broken = self.listings[listing].book.check(self.effects.touched()).err();
        let answer = match (progress, &broken) {
            (Progress::Done(answer), _) => Some(answer),
            (Progress::More(_), None) => None,
            // The book must not trade on: the order ends here.
            (Progress::More(incoming), Some(_)) => Some(Answer {
                status: BookStatus::Cancelled,
                reason: Some(Reason::Frozen),
                leaves: incoming.leaves,
            }),
        };
        if let Some(answer) = &answer {
            Publisher::new(&self.routes, context, outputs).command_done(&asked, answer);
        }
        if let Some(broken) = broken {
            self.freeze(context, listing, &broken, outputs);
        }
        self.account_for(listing);
        match (answer, progress) {
            (None, Progress::More(incoming)) => {
                self.pending = Some(Pending::Sweep {
                    listing,
                    asked,
                    incoming,
                });
                Step::More
            }
            _ => Step::Done,
        }
    }

    /// Publishes the trades, ends and level changes in `effects`.
    fn publish_step(
        &mut self,
        context: &Context,
        listing: usize,
        taker: Option<(Asked, Side)>,
        cause: Reason,
        outputs: &mut Outputs,
    ) {
        self.effects.settle();
        let listing = &mut self.listings[listing];
        let mut publisher = Publisher::new(&self.routes, context, outputs);
        let mut last_price_cents = None;
        for event in &self.effects.events {
            match (*event, taker) {
                (
                    Event::Trade {
                        maker_order_id,
                        maker_account_id,
                        price,
                        quantity,
                        maker_leaves,
                        taker_leaves,
                    },
                    Some((taker, taker_side)),
                ) => {
                    self.trades += 1;
                    let price_cents = listing.cents(price);
                    last_price_cents = Some(price_cents);
                    publisher.trade(&TradeTerms {
                        trade_id: PackedId {
                            generation: self.routes.generation,
                            partition: self.routes.partition,
                            counter: self.trades,
                        },
                        sequence: listing.sequence + 1,
                        price_cents,
                        quantity,
                        taker: &taker,
                        taker_side,
                        taker_leaves,
                        maker_order_id,
                        maker_account_id,
                        maker_leaves,
                    });
                }
                (
                    Event::SelfTradePrevented {
                        order_id,
                        account_id,
                        leaves,
                    },
                    _,
                ) => publisher.order_ended(listing.instrument.symbol, order_id, account_id, cause, leaves),
                (Event::Trade { .. }, None) => unreachable!("only an incoming order trades"),
            }
        }
        if last_price_cents.is_some() {
            listing.last_price_cents = last_price_cents;
        }
        if !self.effects.touched().is_empty() {
            listing.sequence += 1;
            publisher.book_update(listing, self.effects.touched(), last_price_cents);
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
    ) -> Step {
        self.effects.clear();
        let symbol = self.listings[listing].instrument.symbol;
        let keep = order_ids.len().saturating_sub(EVENTS_MAX);
        for order_id in order_ids.drain(keep..).rev() {
            let Some(order) = self.listings[listing].book.end(order_id, &mut self.effects) else {
                continue;
            };
            Publisher::new(&self.routes, context, outputs).order_ended(
                symbol,
                order_id,
                order.account_id,
                cause,
                order.leaves,
            );
        }
        self.publish_step(context, listing, None, cause, outputs);
        let broken = self.listings[listing].book.check(self.effects.touched()).err();
        if let Some(broken) = broken.filter(|_| !self.listings[listing].standing.frozen) {
            self.freeze(context, listing, &broken, outputs);
        }
        self.account_for(listing);
        if order_ids.is_empty() {
            return Step::Done;
        }
        self.pending = Some(Pending::Ends {
            listing,
            order_ids,
            cause,
        });
        Step::More
    }

    /// Stops one book for good.
    fn freeze(&mut self, context: &Context, listing: usize, broken: &Broken, outputs: &mut Outputs) {
        let symbol = self.listings[listing].instrument.symbol;
        tracing::error!(%symbol, %broken, offset = context.offset, "a broken invariant froze a book");
        let about = |command: &&BookCommand| match command {
            BookCommand::NewOrder(order) => order.symbol == symbol,
            BookCommand::ReplaceBookOrder(replace) => replace.symbol == symbol,
            BookCommand::CancelBookOrder(cancel) => cancel.symbol == symbol,
            _ => false,
        };
        let diagnosis: Vec<_> = self.recent.iter().filter(about).cloned().collect();
        self.diagnoses.insert(symbol, diagnosis);
        self.listings[listing].standing.frozen = true;
        self.publish_standing(context, listing, Some(broken.to_string()), outputs);
    }
}
