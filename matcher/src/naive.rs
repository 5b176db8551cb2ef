//! The rules of the book once more, as plainly as they can be written: the oracle of the tests.
//!
//! One symbol, two sorted vectors, cents instead of ticks. What cannot be undone easily is tried on a
//! copy first. Slow, and meant to be read beside the rules.

use brokerx_schemas::{
    BookStatus, CancelBookOrder, Config, LevelChange, ListInstrument, NewOrder, OrderType, Reason, ReplaceBookOrder,
    SelfTradePrevention, Side, TimeInForce,
};

/// A resting order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NaiveOrder {
    /// The order.
    pub order_id: i64,
    /// Its owner.
    pub account_id: i64,
    /// Its limit.
    pub price_cents: i64,
    /// Shares that have traded.
    pub filled: i64,
    /// Shares left.
    pub leaves: i64,
    /// How long it stays.
    pub time_in_force: TimeInForce,
    /// Refuse rather than take.
    pub post_only: bool,
    /// What gives way.
    pub self_trade_prevention: SelfTradePrevention,
}

/// A trade of the incoming order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NaiveTrade {
    /// The resting order.
    pub maker_order_id: i64,
    /// Its price.
    pub price_cents: i64,
    /// Shares.
    pub quantity: i64,
    /// What is left of the resting order.
    pub maker_leaves: i64,
    /// What is left of the incoming order.
    pub taker_leaves: i64,
}

/// Everything that one command caused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Trades in order.
    pub trades: Vec<NaiveTrade>,
    /// Resting orders that ended by the rules: id, cause, shares left.
    pub ended: Vec<(i64, Reason, i64)>,
    /// Status, reason and shares left of `CommandDone`; none for a command that gets none.
    pub done: Option<(BookStatus, Option<Reason>, i64)>,
    /// Levels that differ from before: bids, then asks, by price.
    pub changes: Vec<LevelChange>,
}

/// The book of one symbol.
#[derive(Clone, Debug)]
pub struct NaiveBook {
    config: Config,
    tick_cents: i64,
    band_bps: i64,
    reference_cents: i64,
    closed: bool,
    halted: bool,
    /// Highest price first, then first come.
    bids: Vec<NaiveOrder>,
    /// Lowest price first, then first come.
    asks: Vec<NaiveOrder>,
}

type Refused = (Reason, i64);

impl NaiveBook {
    /// The book of an instrument that was just listed.
    pub fn new(config: Config, listing: &ListInstrument) -> Self {
        Self {
            config,
            tick_cents: listing.tick_size_cents,
            band_bps: i64::from(listing.band_bps),
            reference_cents: listing.reference_price_cents,
            closed: false,
            halted: false,
            bids: Vec::new(),
            asks: Vec::new(),
        }
    }

    /// The orders of one side in priority order.
    pub fn orders(&self, side: Side) -> &[NaiveOrder] {
        if side == Side::Buy { &self.bids } else { &self.asks }
    }

    /// What bands are measured from: the last trade, or the listed reference before the first.
    pub fn reference_cents(&self) -> i64 {
        self.reference_cents
    }

    /// Halts or resumes.
    pub fn set_halted(&mut self, halted: bool) {
        self.halted = halted;
    }

    /// Opens the session.
    pub fn open(&mut self) {
        self.closed = false;
    }

    /// Closes the session: DAY orders expire. They are told by id, not in the order of their queues.
    pub fn close(&mut self) -> Outcome {
        self.observe(|book, outcome| {
            book.closed = true;
            for side in [&mut book.bids, &mut book.asks] {
                side.retain(|order| {
                    let expires = order.time_in_force == TimeInForce::Day;
                    if expires {
                        outcome.ended.push((order.order_id, Reason::SessionEnded, order.leaves));
                    }
                    !expires
                });
            }
            outcome.ended.sort_unstable();
        })
    }

    /// A new order, found within its deadline.
    pub fn place(&mut self, order: &NewOrder) -> Outcome {
        self.observe(|book, outcome| {
            let done = book.try_place(order, outcome);
            outcome.done = Some(done.unwrap_or_else(|(reason, leaves)| (BookStatus::Rejected, Some(reason), leaves)));
        })
    }

    /// A cancel, found within its deadline.
    pub fn cancel(&mut self, cancel: &CancelBookOrder) -> Outcome {
        self.observe(|book, outcome| {
            outcome.done = Some(match book.find(cancel.order_id.0) {
                None => (BookStatus::Rejected, Some(Reason::OrderClosed), 0),
                Some((_, order)) if order.account_id != cancel.account_id.0 => {
                    (BookStatus::Rejected, Some(Reason::NotFound), 0)
                }
                Some((side, order)) => {
                    book.remove(side, order.order_id);
                    (BookStatus::Cancelled, Some(Reason::CancelledByClient), order.leaves)
                }
            });
        })
    }

    /// New terms, found within their deadline.
    pub fn replace(&mut self, replace: &ReplaceBookOrder) -> Outcome {
        self.observe(|book, outcome| {
            let done = book.try_replace(replace, outcome);
            outcome.done = Some(done.unwrap_or_else(|(reason, leaves)| (BookStatus::Rejected, Some(reason), leaves)));
        })
    }

    fn try_place(
        &mut self,
        order: &NewOrder,
        outcome: &mut Outcome,
    ) -> Result<(BookStatus, Option<Reason>, i64), Refused> {
        let refuse = |reason| Err((reason, order.quantity));
        let is_market = order.order_type == OrderType::Market;
        let is_immediate = is_market || matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        if order.quantity < 1 || order.quantity > 1_000_000_000 {
            return refuse(Reason::InvalidQuantity);
        }
        let limit_cents = match order.order_type {
            OrderType::Limit => match order.price_cents {
                Some(price_cents) if self.is_price(price_cents) => price_cents,
                _ => return refuse(Reason::InvalidPrice),
            },
            OrderType::Market if order.price_cents.is_none() => self.collar(order.side, order.collar_price_cents),
            _ => return refuse(Reason::InvalidOrder),
        };
        if order.post_only && is_immediate {
            return refuse(Reason::InvalidOrder);
        }
        if self.closed {
            return refuse(Reason::MarketClosed);
        }
        if self.halted {
            return refuse(Reason::Halted);
        }
        if !is_market && !self.is_within_band(limit_cents) {
            return refuse(Reason::PriceBand);
        }
        let incoming = NaiveOrder {
            order_id: order.order_id.0,
            account_id: order.account_id.0,
            price_cents: limit_cents,
            filled: 0,
            leaves: order.quantity,
            time_in_force: order.time_in_force,
            post_only: order.post_only,
            self_trade_prevention: order.self_trade_prevention,
        };
        if order.post_only && self.crosses(order.side, limit_cents) {
            return refuse(Reason::PostOnlyWouldCross);
        }
        let before = self.clone();
        let (rest, prevented) = self.trade(order.side, incoming, outcome);
        if order.time_in_force == TimeInForce::Fok && rest.leaves > 0 {
            *self = before;
            *outcome = Outcome::default();
            return refuse(Reason::FokUnfillable);
        }
        if prevented {
            let nothing_happened = outcome.trades.is_empty() && outcome.ended.is_empty();
            let status = if nothing_happened {
                BookStatus::Rejected
            } else {
                BookStatus::Cancelled
            };
            return Ok((status, Some(Reason::SelfTrade), rest.leaves));
        }
        if rest.leaves == 0 {
            return Ok((BookStatus::Filled, None, 0));
        }
        if is_immediate {
            return Ok((BookStatus::Cancelled, Some(Reason::NoLiquidity), rest.leaves));
        }
        let leaves = rest.leaves;
        self.queue(order.side, rest);
        Ok((BookStatus::Working, None, leaves))
    }

    fn try_replace(
        &mut self,
        replace: &ReplaceBookOrder,
        outcome: &mut Outcome,
    ) -> Result<(BookStatus, Option<Reason>, i64), Refused> {
        let Some((side, old)) = self.find(replace.order_id.0) else {
            return Err((Reason::OrderClosed, 0));
        };
        if old.account_id != replace.account_id.0 {
            return Err((Reason::NotFound, 0));
        }
        let refuse = |reason| Err((reason, old.leaves));
        if replace.quantity < 1 || replace.quantity > 1_000_000_000 {
            return refuse(Reason::InvalidQuantity);
        }
        let price_cents = match replace.price_cents {
            Some(price_cents) if self.is_price(price_cents) => price_cents,
            _ => return refuse(Reason::InvalidPrice),
        };
        if !matches!(replace.time_in_force, TimeInForce::Day | TimeInForce::Gtc) {
            return refuse(Reason::InvalidOrder);
        }
        if self.closed {
            return refuse(Reason::MarketClosed);
        }
        if self.halted {
            return refuse(Reason::Halted);
        }
        if price_cents != old.price_cents && !self.is_within_band(price_cents) {
            return refuse(Reason::PriceBand);
        }
        let leaves = replace.quantity - old.filled;
        if leaves <= 0 {
            self.remove(side, old.order_id);
            return Ok((BookStatus::Cancelled, Some(Reason::CancelledByClient), old.leaves));
        }
        let terms = NaiveOrder {
            price_cents,
            leaves,
            time_in_force: replace.time_in_force,
            ..old.clone()
        };
        if price_cents == old.price_cents && leaves <= old.leaves {
            for order in self.side_mut(side) {
                if order.order_id == old.order_id {
                    *order = terms.clone();
                }
            }
            return Ok((BookStatus::Replaced, None, leaves));
        }
        if old.post_only && self.crosses(side, price_cents) {
            return refuse(Reason::PostOnlyWouldCross);
        }
        let before = self.clone();
        self.remove(side, old.order_id);
        let (rest, prevented) = self.trade(side, terms, outcome);
        if prevented {
            *self = before;
            *outcome = Outcome::default();
            return refuse(Reason::SelfTrade);
        }
        if rest.leaves == 0 {
            return Ok((BookStatus::Filled, None, 0));
        }
        let leaves = rest.leaves;
        self.queue(side, rest);
        Ok((BookStatus::Replaced, None, leaves))
    }

    /// Trades while it can. Returns what is left, and whether the order had to give way to an own one.
    fn trade(&mut self, side: Side, mut incoming: NaiveOrder, outcome: &mut Outcome) -> (NaiveOrder, bool) {
        while incoming.leaves > 0 && self.crosses(side, incoming.price_cents) {
            let others = self.side_mut(side.opposite());
            let maker = &mut others[0];
            if maker.account_id == incoming.account_id {
                if incoming.self_trade_prevention != SelfTradePrevention::CancelIncoming {
                    outcome.ended.push((maker.order_id, Reason::SelfTrade, maker.leaves));
                    others.remove(0);
                }
                if incoming.self_trade_prevention != SelfTradePrevention::CancelResting {
                    return (incoming, true);
                }
                continue;
            }
            let quantity = incoming.leaves.min(maker.leaves);
            for order in [&mut incoming, maker] {
                order.leaves -= quantity;
                order.filled += quantity;
            }
            outcome.trades.push(NaiveTrade {
                maker_order_id: maker.order_id,
                price_cents: maker.price_cents,
                quantity,
                maker_leaves: maker.leaves,
                taker_leaves: incoming.leaves,
            });
            let price_cents = maker.price_cents;
            others.retain(|order| order.leaves > 0);
            self.reference_cents = price_cents;
        }
        (incoming, false)
    }

    fn crosses(&self, side: Side, limit_cents: i64) -> bool {
        let best = self.orders(side.opposite()).first();
        best.is_some_and(|best| match side {
            Side::Buy => best.price_cents <= limit_cents,
            _ => best.price_cents >= limit_cents,
        })
    }

    fn is_price(&self, price_cents: i64) -> bool {
        price_cents >= self.config.price_cents_min
            && price_cents <= self.config.price_cents_max
            && price_cents % self.tick_cents == 0
    }

    fn is_within_band(&self, price_cents: i64) -> bool {
        (price_cents - self.reference_cents).abs() * 10_000 <= self.band_bps * self.reference_cents
    }

    /// Walks tick by tick to the worst price that is inside both collars.
    fn collar(&self, side: Side, own_cents: Option<i64>) -> i64 {
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
        // Nothing is inside: nothing may trade.
        match side {
            Side::Buy => inside.next_back().unwrap_or(0),
            _ => inside.next().unwrap_or(i64::MAX),
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut Vec<NaiveOrder> {
        if side == Side::Buy {
            &mut self.bids
        } else {
            &mut self.asks
        }
    }

    fn find(&self, order_id: i64) -> Option<(Side, NaiveOrder)> {
        [Side::Buy, Side::Sell].into_iter().find_map(|side| {
            let order = self.orders(side).iter().find(|order| order.order_id == order_id);
            order.map(|order| (side, order.clone()))
        })
    }

    fn remove(&mut self, side: Side, order_id: i64) {
        self.side_mut(side).retain(|order| order.order_id != order_id);
    }

    /// Behind every order at its price or a better one.
    fn queue(&mut self, side: Side, order: NaiveOrder) {
        let orders = self.side_mut(side);
        let is_before = |other: &NaiveOrder| match side {
            Side::Buy => other.price_cents >= order.price_cents,
            _ => other.price_cents <= order.price_cents,
        };
        let place = orders.iter().take_while(|other| is_before(other)).count();
        orders.insert(place, order);
    }

    fn observe(&mut self, command: impl FnOnce(&mut Self, &mut Outcome)) -> Outcome {
        let before = self.levels();
        let mut outcome = Outcome::default();
        command(self, &mut outcome);
        let after = self.levels();
        for level in &before {
            if !after.iter().any(|other| is_same_level(level, other)) {
                outcome.changes.push(LevelChange {
                    quantity: 0,
                    order_count: 0,
                    ..*level
                });
            }
        }
        outcome
            .changes
            .extend(after.into_iter().filter(|level| !before.contains(level)));
        outcome.changes.sort_by_key(|level| (level.side, level.price_cents));
        outcome
    }

    fn levels(&self) -> Vec<LevelChange> {
        let mut levels: Vec<LevelChange> = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            for order in self.orders(side) {
                let level = LevelChange {
                    side,
                    price_cents: order.price_cents,
                    quantity: order.leaves,
                    order_count: 1,
                };
                match levels.last_mut() {
                    Some(last) if is_same_level(last, &level) => {
                        last.quantity += order.leaves;
                        last.order_count += 1;
                    }
                    _ => levels.push(level),
                }
            }
        }
        levels
    }
}

fn is_same_level(one: &LevelChange, other: &LevelChange) -> bool {
    (one.side, one.price_cents) == (other.side, other.price_cents)
}
