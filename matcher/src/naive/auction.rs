//! Halts, sessions, and the call auction when trading resumes.

use brokerx_schemas::{Reason, SelfTradePrevention, Side, TimeInForce};

use super::{NaiveBook, NaiveTrade, Said};

impl NaiveBook {
    /// Halts.
    pub fn halt(&mut self) {
        self.halted = true;
    }

    /// Lifts a halt.
    pub fn resume(&mut self) -> Vec<Said> {
        let traded = self.trades();
        self.halted = false;
        self.reopen(traded)
    }

    /// Opens the session.
    pub fn open(&mut self) -> Vec<Said> {
        let traded = self.trades();
        self.closed = false;
        self.reopen(traded)
    }

    /// Closes the session: DAY orders and stops expire, and market orders that were collected.
    pub fn close(&mut self) -> Vec<Said> {
        if self.closed {
            return Vec::new();
        }
        self.closed = true;
        let mut said = self.end(Reason::SessionEnded, |time_in_force| time_in_force == TimeInForce::Day);
        let immediate = |time_in_force| matches!(time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        said.extend(self.end_orders(Reason::SessionEnded, immediate));
        said
    }

    /// Ends everything.
    pub fn delist(&mut self) -> Vec<Said> {
        self.end(Reason::Delisted, |_| true)
    }

    /// Ends orders and stops, first come first.
    fn end(&mut self, cause: Reason, which: impl Fn(TimeInForce) -> bool) -> Vec<Said> {
        let orders = self.bids.iter().chain(&self.asks);
        let orders = orders.map(|order| (order.time, order.time_in_force, order.order_id, order.leaves));
        let stops = self.stops.iter();
        let stops = stops.map(|stop| (stop.time, stop.time_in_force, stop.order_id, stop.quantity));
        let mut ends: Vec<_> = orders.chain(stops).filter(|end| which(end.1)).collect();
        ends.sort_by_key(|end| end.0);
        for (_, _, order_id, _) in &ends {
            self.remove(*order_id);
        }
        let said = ends
            .into_iter()
            .map(|(_, _, order_id, leaves)| Said::Ended(order_id, cause, leaves));
        said.collect()
    }

    /// Ends orders, first come first; stops stay.
    fn end_orders(&mut self, cause: Reason, which: impl Fn(TimeInForce) -> bool) -> Vec<Said> {
        let stops = std::mem::take(&mut self.stops);
        let said = self.end(cause, which);
        self.stops = stops;
        said
    }

    fn reopen(&mut self, traded: bool) -> Vec<Said> {
        let mut said = Vec::new();
        if traded || !self.trades() {
            return said;
        }
        while let Some(price_cents) = self.auction_price() {
            self.uncross(price_cents, &mut said);
        }
        let immediate = |time_in_force| matches!(time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        said.extend(self.end_orders(Reason::NoLiquidity, immediate));
        if let Some(last_cents) = self.last_cents {
            self.reach(last_cents);
        }
        self.let_stops_in(&mut said);
        said
    }

    /// Tries every price: most shares, smallest imbalance, nearest to the reference, lowest.
    fn auction_price(&self) -> Option<i64> {
        let (high, low) = (self.bids.first()?.price_cents, self.asks.first()?.price_cents);
        let prices = (low / self.tick_cents..=high / self.tick_cents).map(|ticks| ticks * self.tick_cents);
        prices.min_by_key(|price_cents| {
            let bids = self.bids.iter().filter(|order| order.price_cents >= *price_cents);
            let asks = self.asks.iter().filter(|order| order.price_cents <= *price_cents);
            let demand: i64 = bids.map(|order| order.leaves).sum();
            let supply: i64 = asks.map(|order| order.leaves).sum();
            let distance = (price_cents - self.reference_cents).abs();
            (-demand.min(supply), (demand - supply).abs(), distance, *price_cents)
        })
    }

    /// Trades at one price what crosses it. Of two orders of one account the later is the incoming one.
    fn uncross(&mut self, price_cents: i64, said: &mut Vec<Said>) {
        loop {
            let (Some(bid), Some(ask)) = (self.bids.first().cloned(), self.asks.first().cloned()) else {
                return;
            };
            if bid.price_cents < price_cents || ask.price_cents > price_cents {
                return;
            }
            // A post-only order is never the taker.
            let bid_is_maker = bid.post_only || !ask.post_only && bid.time < ask.time;
            let (maker_side, maker, taker) = if bid_is_maker {
                (Side::Buy, bid, ask)
            } else {
                (Side::Sell, ask, bid)
            };
            if maker.account_id == taker.account_id {
                if taker.self_trade_prevention != SelfTradePrevention::CancelIncoming {
                    self.give_way(&maker, said);
                }
                if taker.self_trade_prevention != SelfTradePrevention::CancelResting {
                    self.give_way(&taker, said);
                }
                continue;
            }
            let quantity = maker.shown.min(taker.shown);
            said.push(Said::Trade(NaiveTrade {
                maker_order_id: maker.order_id,
                taker_order_id: taker.order_id,
                price_cents,
                quantity,
                maker_leaves: maker.leaves - quantity,
                taker_leaves: taker.leaves - quantity,
            }));
            self.take_shares(maker_side, &maker, quantity);
            self.take_shares(maker_side.opposite(), &taker, quantity);
            self.print(price_cents);
        }
    }
}
