//! What a step did to a book: published, checked, and followed by the stops that it triggered.

use brokerx_schemas::{BookStatus, PackedId, Reason};
use brokerx_topics::machine::{Context, Outputs};

use super::entrant::Entrant;
use super::publish::{Publisher, TradeTerms};
use super::state::Matcher;
use super::work::{Triggered, Work};
use crate::book::{Answer, Broken, Event, Progress};

impl Matcher {
    /// Publishes what a step of an order did, and tells its end when it is done. Stops that it
    /// triggered enter next.
    pub(super) fn conclude(
        &mut self,
        context: &Context,
        listing: usize,
        entrant: Entrant,
        progress: Progress,
        outputs: &mut Outputs,
    ) {
        self.publish_step(context, listing, Reason::SelfTrade, outputs);
        let broken = self.check(listing).err();
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
            self.tell(context, entrant, answer, outputs);
        }
        if let Some(broken) = broken {
            self.freeze(context, listing, &broken, outputs);
        } else if answer.is_some() {
            self.queue_triggered();
        } else if let Progress::More(incoming) = progress {
            self.work.push(Work::Sweep {
                listing,
                entrant,
                incoming,
            });
        }
        self.account_for(listing);
    }

    /// Answers a command. A stop was answered when it was placed: only its end is told.
    fn tell(&self, context: &Context, entrant: Entrant, answer: &Answer, outputs: &mut Outputs) {
        let mut publisher = Publisher::new(&self.routes, context, outputs);
        match entrant {
            Entrant::Command(asked) => publisher.command_done(&asked, answer),
            Entrant::Stop(asked) => {
                if matches!(answer.status, BookStatus::Cancelled | BookStatus::Rejected) {
                    let cause = answer.reason.unwrap_or(Reason::NoLiquidity);
                    publisher.order_ended(asked.symbol, asked.order_id.0, asked.account_id.0, cause, answer.leaves);
                }
            }
        }
    }

    /// Checks what a step touched.
    pub(super) fn check(&self, listing: usize) -> Result<(), Broken> {
        let listing = &self.listings[listing];
        listing.book.check(self.effects.touched(), listing.trading())
    }

    /// Publishes the trades, ends and level changes in `effects`, and collects the stops that the
    /// trades trigger. `cause` is why orders gave way.
    pub(super) fn publish_step(&mut self, context: &Context, listing: usize, cause: Reason, outputs: &mut Outputs) {
        self.effects.settle();
        let index = listing;
        let listing = &mut self.listings[listing];
        let mut publisher = Publisher::new(&self.routes, context, outputs);
        let mut last_price_cents = None;
        let deadline = listing.candles.deadline_ms();
        for event in &self.effects.events {
            match *event {
                Event::Trade {
                    price,
                    quantity,
                    maker,
                    taker,
                    taker_side,
                } => {
                    self.trades += 1;
                    let price_cents = listing.cents(price);
                    last_price_cents = Some(price_cents);
                    publisher.trade(&TradeTerms {
                        trade_id: PackedId {
                            generation: self.routes.generation,
                            partition: self.routes.partition,
                            counter: self.trades,
                        },
                        symbol: listing.instrument.symbol,
                        sequence: listing.sequence() + 1,
                        price_cents,
                        quantity,
                        maker,
                        taker,
                        taker_side,
                    });
                    let over = listing.candles.trade(context.now_ms, price_cents, quantity);
                    publisher.candles(listing.instrument.symbol, over);
                    while let Some(stop) = listing.book.take_triggered(price) {
                        self.reached.push(Triggered {
                            listing: index,
                            stop,
                            price_cents,
                        });
                    }
                }
                Event::SelfTradePrevented {
                    order_id,
                    account_id,
                    leaves,
                } => publisher.order_ended(listing.instrument.symbol, order_id, account_id, cause, leaves),
            }
        }
        if last_price_cents.is_some() {
            listing.last_price_cents = last_price_cents;
        }
        if !self.effects.touched().is_empty() {
            listing.next_sequence();
            publisher.book_update(listing, self.effects.touched(), last_price_cents);
        }
        self.reschedule_candles(index, deadline);
    }
}
