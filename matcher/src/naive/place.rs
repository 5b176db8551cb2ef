//! A new order, checked in the order of the rules.

use brokerx_schemas::{BookStatus, NewOrder, OrderType, Reason, Side, TimeInForce};

use super::{Decision, NaiveBook, NaiveOrder, NaiveStop, Said};

impl NaiveBook {
    /// A new order that arrived within its deadline.
    pub fn place(&mut self, order: &NewOrder) -> Vec<Said> {
        let mut said = Vec::new();
        match self.check(order) {
            Err(reason) => said.push(Said::Done(BookStatus::Rejected, Some(reason), order.quantity)),
            Ok(()) if matches!(order.order_type, OrderType::Stop | OrderType::StopLimit) => {
                let stop = self.stop_of(order);
                said.push(Said::Done(BookStatus::Working, None, order.quantity));
                self.stops.push(stop);
                if let Some(last_cents) = self.last_cents.filter(|_| self.trades()) {
                    self.reach(last_cents);
                }
            }
            Ok(()) => {
                let incoming = self.order_of(order);
                let decision = if self.trades() {
                    self.enter(order.side, incoming, &mut said)
                } else {
                    self.collect(order.side, incoming)
                };
                said.push(done(decision));
            }
        }
        self.let_stops_in(&mut said);
        said
    }

    fn check(&self, order: &NewOrder) -> Result<(), Reason> {
        let has_limit = matches!(order.order_type, OrderType::Limit | OrderType::StopLimit);
        let has_stop = matches!(order.order_type, OrderType::Stop | OrderType::StopLimit);
        let is_immediate = matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        let rests = order.order_type == OrderType::Limit && !is_immediate;
        if order.quantity < 1 || order.quantity > 1_000_000_000 {
            return Err(Reason::InvalidQuantity);
        }
        if has_limit && !self.is_price(order.price_cents) {
            return Err(Reason::InvalidPrice);
        }
        if !has_limit && order.price_cents.is_some() {
            return Err(Reason::InvalidOrder);
        }
        if has_stop && !self.is_price(order.stop_price_cents) {
            return Err(Reason::InvalidPrice);
        }
        if !has_stop && order.stop_price_cents.is_some() {
            return Err(Reason::InvalidOrder);
        }
        if order.post_only && !rests {
            return Err(Reason::InvalidOrder);
        }
        if let Some(display) = order.display_quantity
            && (!rests || display < 1 || display > order.quantity)
        {
            return Err(Reason::InvalidOrder);
        }
        if let Some(display) = order.display_quantity
            && self.shows_too_little(display, order.quantity)
        {
            return Err(Reason::DisplayTooSmall);
        }
        if let Some(reason) = self.refuses() {
            return Err(reason);
        }
        if has_stop {
            return Ok(());
        }
        // Whatever is immediate cannot wait for the auction.
        if !self.trades() && is_immediate {
            return Err(if self.closed {
                Reason::MarketClosed
            } else {
                Reason::Halted
            });
        }
        match order.price_cents {
            Some(price_cents) if !self.is_within_band(price_cents) => Err(Reason::PriceBand),
            _ => Ok(()),
        }
    }

    fn order_of(&self, order: &NewOrder) -> NaiveOrder {
        let is_market = order.order_type == OrderType::Market;
        let price_cents = order.price_cents;
        NaiveOrder {
            order_id: order.order_id.0,
            account_id: order.account_id.0,
            price_cents: price_cents.unwrap_or_else(|| self.collar(order.side, order.collar_price_cents)),
            filled: 0,
            leaves: order.quantity,
            shown: 0,
            display: order.display_quantity,
            time_in_force: match order.time_in_force {
                TimeInForce::Fok => TimeInForce::Fok,
                _ if is_market => TimeInForce::Ioc,
                time_in_force => time_in_force,
            },
            post_only: order.post_only,
            self_trade_prevention: order.self_trade_prevention,
            time: 0,
        }
    }

    fn stop_of(&mut self, order: &NewOrder) -> NaiveStop {
        NaiveStop {
            order_id: order.order_id.0,
            account_id: order.account_id.0,
            side: order.side,
            stop_cents: order.stop_price_cents.unwrap_or(0),
            limit_cents: order.price_cents,
            collar_cents: order.collar_price_cents,
            quantity: order.quantity,
            time_in_force: order.time_in_force,
            self_trade_prevention: order.self_trade_prevention,
            time: self.next_time(),
        }
    }

    /// Brings an order into a book that trades.
    pub(super) fn enter(&mut self, side: Side, incoming: NaiveOrder, said: &mut Vec<Said>) -> Decision {
        let quantity = incoming.leaves;
        if incoming.post_only && self.crosses(side, incoming.price_cents) {
            return Err((Reason::PostOnlyWouldCross, quantity));
        }
        let (before, said_before) = (self.clone(), said.len());
        let time_in_force = incoming.time_in_force;
        let (rest, prevented) = self.trade(side, incoming, said);
        if time_in_force == TimeInForce::Fok && rest.leaves > 0 {
            *self = before;
            said.truncate(said_before);
            return Err((Reason::FokUnfillable, quantity));
        }
        let leaves = rest.leaves;
        if prevented && said.len() == said_before {
            return Err((Reason::SelfTrade, leaves));
        }
        if prevented {
            return Ok((BookStatus::Cancelled, Some(Reason::SelfTrade), leaves));
        }
        if leaves == 0 {
            return Ok((BookStatus::Filled, None, 0));
        }
        if matches!(time_in_force, TimeInForce::Ioc | TimeInForce::Fok) {
            return Ok((BookStatus::Cancelled, Some(Reason::NoLiquidity), leaves));
        }
        self.queue(side, rest);
        Ok((BookStatus::Working, None, leaves))
    }

    /// Takes an order into a book that collects.
    fn collect(&mut self, side: Side, incoming: NaiveOrder) -> Decision {
        let leaves = incoming.leaves;
        if incoming.post_only && self.crosses(side, incoming.price_cents) {
            return Err((Reason::PostOnlyWouldCross, leaves));
        }
        self.queue(side, incoming);
        Ok((BookStatus::Working, None, leaves))
    }

    pub(super) fn is_price(&self, price_cents: Option<i64>) -> bool {
        let range = self.config.price_cents_min..=self.config.price_cents_max;
        price_cents.is_some_and(|price_cents| range.contains(&price_cents) && price_cents % self.tick_cents == 0)
    }

    pub(super) fn is_within_band(&self, price_cents: i64) -> bool {
        (price_cents - self.reference_cents).abs() * 10_000 <= self.band_bps * self.reference_cents
    }

    /// Walks tick by tick to the worst price that is inside both collars.
    pub(super) fn collar(&self, side: Side, own_cents: Option<i64>) -> i64 {
        let is_inside = |price_cents: i64| {
            self.is_within_band(price_cents)
                && own_cents.is_none_or(|own| match side {
                    Side::Buy => price_cents <= own,
                    _ => price_cents >= own,
                })
        };
        let ticks = 0..=self.reference_cents * 2 / self.tick_cents + 1;
        let mut inside = ticks
            .map(|tick| tick * self.tick_cents)
            .filter(|price| is_inside(*price));
        // When no price is inside both, the order's own collar alone counts.
        let own_ticks = |own: i64| match side {
            Side::Buy => own - own % self.tick_cents,
            _ => own + (self.tick_cents - own % self.tick_cents) % self.tick_cents,
        };
        match side {
            Side::Buy => inside.next_back(),
            _ => inside.next(),
        }
        .unwrap_or_else(|| own_cents.map_or(0, own_ticks))
    }
}

pub(super) fn done(decision: Decision) -> Said {
    match decision {
        Ok((status, reason, leaves)) => Said::Done(status, reason, leaves),
        Err((reason, leaves)) => Said::Done(BookStatus::Rejected, Some(reason), leaves),
    }
}
