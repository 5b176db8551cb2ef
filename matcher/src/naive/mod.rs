//! The rules of the book once more, as plainly as they can be written: the oracle of the tests.
//!
//! One symbol, sorted vectors, cents instead of ticks. What cannot be undone easily is tried on a copy
//! first. Slow, and meant to be read beside the rules.
//!
//! - `place`: a new order, checked and entered
//! - `replace`: new terms
//! - `trade`: matching, self-trade prevention, icebergs
//! - `stops`: triggers and what follows from them
//! - `auction`: halts, sessions, and the reopening

mod auction;
mod place;
mod replace;
mod stops;
mod trade;

use brokerx_schemas::{
    BookStatus, CancelBookOrder, Config, LevelChange, ListInstrument, Reason, SelfTradePrevention, Side, TimeInForce,
};

/// A resting order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NaiveOrder {
    /// The order.
    pub order_id: i64,
    /// Its owner.
    pub account_id: i64,
    /// Its limit; of a collected market order its collar.
    pub price_cents: i64,
    /// Shares that have traded.
    pub filled: i64,
    /// Shares left.
    pub leaves: i64,
    /// Shares left that are shown.
    pub shown: i64,
    /// Shares that an iceberg shows at a time.
    pub display: Option<i64>,
    /// How long it stays; a collected market order is immediate.
    pub time_in_force: TimeInForce,
    /// Refuse rather than take.
    pub post_only: bool,
    /// What gives way.
    pub self_trade_prevention: SelfTradePrevention,
    /// When it came to the end of its queue.
    pub time: u64,
}

/// A stop or stop-limit that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NaiveStop {
    /// The order.
    pub order_id: i64,
    /// Its owner.
    pub account_id: i64,
    /// Its side.
    pub side: Side,
    /// The price that triggers it.
    pub stop_cents: i64,
    /// The limit of a stop-limit.
    pub limit_cents: Option<i64>,
    /// The collar of a stop.
    pub collar_cents: Option<i64>,
    /// Shares.
    pub quantity: i64,
    /// How long it stays.
    pub time_in_force: TimeInForce,
    /// What gives way.
    pub self_trade_prevention: SelfTradePrevention,
    /// When it was placed.
    pub time: u64,
}

/// A trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NaiveTrade {
    /// The order that was there first.
    pub maker_order_id: i64,
    /// The order that came later.
    pub taker_order_id: i64,
    /// The price.
    pub price_cents: i64,
    /// Shares.
    pub quantity: i64,
    /// What is left of the maker.
    pub maker_leaves: i64,
    /// What is left of the taker.
    pub taker_leaves: i64,
}

/// Something that a command caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// A trade.
    Trade(NaiveTrade),
    /// An order ended by the rules: id, cause, shares left.
    Ended(i64, Reason, i64),
    /// `CommandDone`: status, reason, shares left.
    Done(BookStatus, Option<Reason>, i64),
    /// A stop was triggered: id, price of the trade.
    Triggered(i64, i64),
}

/// `CommandDone` of a command that was carried out, or why it was refused and what is left.
type Decision = Result<(BookStatus, Option<Reason>, i64), (Reason, i64)>;

/// The book of one symbol.
#[derive(Clone, Debug)]
pub struct NaiveBook {
    config: Config,
    tick_cents: i64,
    band_bps: i64,
    /// The last trade, or the listed reference before the first.
    reference_cents: i64,
    last_cents: Option<i64>,
    closed: bool,
    halted: bool,
    /// Highest price first, then first come.
    bids: Vec<NaiveOrder>,
    /// Lowest price first, then first come.
    asks: Vec<NaiveOrder>,
    /// In the order of their placement.
    stops: Vec<NaiveStop>,
    /// Stops that trades of the present command have reached, with the price.
    reached: Vec<(NaiveStop, i64)>,
    time: u64,
}

impl NaiveBook {
    /// The book of an instrument that was just listed.
    pub fn new(config: Config, listing: &ListInstrument) -> Self {
        Self {
            config,
            tick_cents: listing.tick_size_cents,
            band_bps: i64::from(listing.band_bps),
            reference_cents: listing.reference_price_cents,
            last_cents: None,
            closed: false,
            halted: false,
            bids: Vec::new(),
            asks: Vec::new(),
            stops: Vec::new(),
            reached: Vec::new(),
            time: 0,
        }
    }

    /// The orders of one side in priority order.
    pub fn orders(&self, side: Side) -> &[NaiveOrder] {
        if side == Side::Buy { &self.bids } else { &self.asks }
    }

    /// The stops in the order of their placement.
    pub fn stops(&self) -> &[NaiveStop] {
        &self.stops
    }

    /// What bands are measured from: the last trade, or the listed reference before the first.
    pub fn reference_cents(&self) -> i64 {
        self.reference_cents
    }

    /// A cancel that arrived within its deadline.
    pub fn cancel(&mut self, cancel: &CancelBookOrder) -> Vec<Said> {
        let order_id = cancel.order_id.0;
        let order = self.find(order_id).map(|(_, order)| (order.account_id, order.leaves));
        let stop = self.find_stop(order_id).map(|stop| (stop.account_id, stop.quantity));
        vec![match order.or(stop) {
            None => Said::Done(BookStatus::Rejected, Some(Reason::OrderClosed), 0),
            Some((owner, _)) if owner != cancel.account_id.0 => {
                Said::Done(BookStatus::Rejected, Some(Reason::NotFound), 0)
            }
            Some((_, leaves)) => {
                self.remove(order_id);
                Said::Done(BookStatus::Cancelled, Some(Reason::CancelledByClient), leaves)
            }
        }]
    }

    /// What others see: bids from the lowest price, then asks.
    pub fn levels(&self) -> Vec<LevelChange> {
        let mut levels: Vec<LevelChange> = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            for order in self.orders(side) {
                match levels.last_mut() {
                    Some(last) if (last.side, last.price_cents) == (side, order.price_cents) => {
                        last.quantity += order.shown;
                        last.order_count += 1;
                    }
                    _ => levels.push(LevelChange {
                        side,
                        price_cents: order.price_cents,
                        quantity: order.shown,
                        order_count: 1,
                    }),
                }
            }
        }
        levels.sort_by_key(|level| (level.side, level.price_cents));
        levels
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

    fn find_stop(&self, order_id: i64) -> Option<NaiveStop> {
        self.stops.iter().find(|stop| stop.order_id == order_id).cloned()
    }

    fn remove(&mut self, order_id: i64) {
        self.bids.retain(|order| order.order_id != order_id);
        self.asks.retain(|order| order.order_id != order_id);
        self.stops.retain(|stop| stop.order_id != order_id);
    }

    /// Queues an order behind every order at its price or a better one. It shows what it may.
    fn queue(&mut self, side: Side, mut order: NaiveOrder) {
        order.shown = order.display.unwrap_or(order.leaves).min(order.leaves);
        order.time = self.next_time();
        let orders = self.side_mut(side);
        let is_before = |other: &NaiveOrder| match side {
            Side::Buy => other.price_cents >= order.price_cents,
            _ => other.price_cents <= order.price_cents,
        };
        let place = orders.iter().take_while(|other| is_before(other)).count();
        orders.insert(place, order);
    }

    fn next_time(&mut self) -> u64 {
        self.time += 1;
        self.time
    }

    fn trades(&self) -> bool {
        !self.closed && !self.halted
    }

    fn shows_too_little(&self, display: i64, quantity: i64) -> bool {
        display * 100 < quantity * i64::from(self.config.display_percent_min)
    }

    /// Why orders are refused now, if they are.
    fn refuses(&self) -> Option<Reason> {
        if self.closed && !self.config.collect_while_closed {
            return Some(Reason::MarketClosed);
        }
        (self.halted && !self.config.collect_while_halted).then_some(Reason::Halted)
    }
}
