//! Stops: triggered by trade prices, let in once the command that traded is done.

use std::collections::VecDeque;

use brokerx_schemas::{Reason, Side, TimeInForce};

use super::{NaiveBook, NaiveOrder, NaiveStop, Said};

impl NaiveBook {
    /// Sets the stops aside that a trade price has reached.
    pub(super) fn reach(&mut self, price_cents: i64) {
        let (reached, waiting): (Vec<_>, Vec<_>) = self.stops.drain(..).partition(|stop| match stop.side {
            Side::Buy => price_cents >= stop.stop_cents,
            _ => price_cents <= stop.stop_cents,
        });
        self.stops = waiting;
        self.reached.extend(reached.into_iter().map(|stop| (stop, price_cents)));
    }

    /// Lets in what was triggered, in the order of placement; what that triggers queues behind.
    pub(super) fn let_stops_in(&mut self, said: &mut Vec<Said>) {
        let mut waiting = VecDeque::new();
        loop {
            let mut reached = std::mem::take(&mut self.reached);
            reached.sort_by_key(|(stop, _)| stop.time);
            waiting.extend(reached);
            let Some((stop, price_cents)) = waiting.pop_front() else {
                return;
            };
            said.push(Said::Triggered(stop.order_id, price_cents));
            self.let_in(&stop, said);
        }
    }

    fn let_in(&mut self, stop: &NaiveStop, said: &mut Vec<Said>) {
        if let Some(limit_cents) = stop.limit_cents
            && !self.is_within_band(limit_cents)
        {
            said.push(Said::Ended(stop.order_id, Reason::PriceBand, stop.quantity));
            return;
        }
        let collar_cents = || self.collar(stop.side, stop.collar_cents);
        let order = NaiveOrder {
            order_id: stop.order_id,
            account_id: stop.account_id,
            price_cents: stop.limit_cents.unwrap_or_else(collar_cents),
            filled: 0,
            leaves: stop.quantity,
            shown: 0,
            display: None,
            time_in_force: match stop.time_in_force {
                TimeInForce::Day | TimeInForce::Gtc if stop.limit_cents.is_none() => TimeInForce::Ioc,
                time_in_force => time_in_force,
            },
            post_only: false,
            self_trade_prevention: stop.self_trade_prevention,
            time: 0,
        };
        // Its end is told when it is neither in the book nor filled.
        match self.enter(stop.side, order, said) {
            Ok((brokerx_schemas::BookStatus::Cancelled, cause, leaves)) => {
                said.push(Said::Ended(stop.order_id, cause.unwrap_or(Reason::NoLiquidity), leaves));
            }
            Ok(_) => {}
            Err((reason, leaves)) => said.push(Said::Ended(stop.order_id, reason, leaves)),
        }
    }
}
