//! Stops on their way from their trigger into the book.
//!
//! A command that trades is done first. The stops that its trades triggered then enter one after the
//! other in the order of their placement; each may trade and trigger more, which queue behind.

use brokerx_schemas::{AccountId, CommandId, OrderId, Reason};
use brokerx_topics::machine::{Context, Outputs};

use super::checks::{collar_ticks, within_band};
use super::entrant::{Asked, Entrant};
use super::publish::Publisher;
use super::state::Matcher;
use super::work::{EVENTS_MAX, Triggered, Work};
use crate::book::{Answer, Incoming, Progress, Stop, TimeInForce};

impl Matcher {
    /// Lets the next stop in.
    pub(super) fn enter_triggered(&mut self, context: &Context, outputs: &mut Outputs) {
        let Some(Triggered {
            listing,
            stop,
            price_cents,
        }) = self.triggered.pop_front()
        else {
            return;
        };
        if !self.triggered.is_empty() {
            self.work.push(Work::Triggered);
        }
        let asked = Asked {
            account_id: AccountId(stop.account_id),
            // Nobody waits for an answer: the command that placed the stop has had its own.
            command_id: CommandId([0; 16]),
            order_id: OrderId(stop.order_id),
            symbol: self.listings[listing].instrument.symbol,
        };
        Publisher::new(&self.routes, context, outputs).order_triggered(&asked, price_cents);
        self.effects.clear();
        let progress = match self.limit_of(listing, &stop) {
            Err(reason) => Progress::Done(Answer::rejected(reason, stop.quantity)),
            Ok((limit, time_in_force)) => {
                let incoming = Incoming {
                    order_id: stop.order_id,
                    account_id: stop.account_id,
                    side: stop.side,
                    limit,
                    quantity: stop.quantity,
                    leaves: stop.quantity,
                    time_in_force,
                    post_only: false,
                    display: 0,
                    self_trade_prevention: stop.self_trade_prevention,
                    replaces: false,
                };
                let book = &mut self.listings[listing].book;
                book.place(incoming, &mut self.effects, EVENTS_MAX)
            }
        };
        self.conclude(context, listing, Entrant::Stop(asked), progress, outputs);
    }

    /// What a triggered stop enters as: a limit order within the band, or an immediate one that
    /// ends at the tighter of its collar and the band.
    fn limit_of(&self, listing: usize, stop: &Stop) -> Result<(i64, TimeInForce), Reason> {
        let listing = &self.listings[listing];
        match stop.limit {
            Some(limit) => within_band(listing, limit).map(|()| (limit, stop.time_in_force)),
            None => {
                let limit = collar_ticks(listing, stop.side, stop.collar_cents)?;
                let time_in_force = match stop.time_in_force {
                    TimeInForce::Fok => TimeInForce::Fok,
                    _ => TimeInForce::Ioc,
                };
                Ok((limit, time_in_force))
            }
        }
    }
}
