//! What goes into a book and what comes out.

use brokerx_schemas::{BookStatus, Reason};
use serde::{Deserialize, Serialize};

/// A price in whole ticks of its instrument.
pub type Ticks = i64;

/// A side of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side {
    /// Bids.
    Buy,
    /// Asks.
    Sell,
}

impl Side {
    /// The other side.
    pub fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// Whether an order of this side with `limit` trades with a resting order at `price`.
    pub fn reaches(self, limit: Ticks, price: Ticks) -> bool {
        match self {
            Self::Buy => price <= limit,
            Self::Sell => price >= limit,
        }
    }
}

/// How long an order stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TimeInForce {
    /// Until the end of the session.
    Day,
    /// Until filled or cancelled.
    Gtc,
    /// What cannot trade at once is cancelled.
    Ioc,
    /// All at once or nothing.
    Fok,
}

impl TimeInForce {
    /// Whether what is left of such an order stays in the book.
    pub fn rests(self) -> bool {
        matches!(self, Self::Day | Self::Gtc)
    }
}

/// What gives way when an order would trade with another of the same account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SelfTradePrevention {
    /// The incoming order is cancelled.
    CancelIncoming,
    /// The resting order is cancelled.
    CancelResting,
    /// Both are cancelled.
    CancelBoth,
}

/// An order on its way into the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The order; not negative, and not in the book.
    pub order_id: i64,
    /// The owner.
    pub account_id: i64,
    /// The side.
    pub side: Side,
    /// The worst price that it takes: its limit, or the collar of a market order.
    pub limit: Ticks,
    /// Total shares, what traded included: 1 to [`QUANTITY_MAX`](super::QUANTITY_MAX).
    pub quantity: i64,
    /// Shares that are left: `quantity` for a new order.
    pub leaves: i64,
    /// What becomes of the shares that do not trade at once.
    pub time_in_force: TimeInForce,
    /// Refuse rather than take liquidity.
    pub post_only: bool,
    /// Shares that an iceberg shows at a time once it rests; 0 shows all.
    pub display: i64,
    /// What gives way to prevent a self-trade.
    pub self_trade_prevention: SelfTradePrevention,
    /// Whether it was in the book before, with other terms.
    pub replaces: bool,
}

impl Incoming {
    /// A plain limit order that stays until cancelled.
    pub fn limit(order_id: i64, account_id: i64, side: Side, limit: Ticks, quantity: i64) -> Self {
        Self {
            order_id,
            account_id,
            side,
            limit,
            quantity,
            leaves: quantity,
            time_in_force: TimeInForce::Gtc,
            post_only: false,
            display: 0,
            self_trade_prevention: SelfTradePrevention::CancelIncoming,
            replaces: false,
        }
    }
}

/// New terms of a resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The order.
    pub order_id: i64,
    /// The owner.
    pub account_id: i64,
    /// The limit from here on.
    pub price: Ticks,
    /// Total shares from here on, what traded included: 1 to [`QUANTITY_MAX`](super::QUANTITY_MAX).
    pub quantity: i64,
    /// How long it stays from here on; one that [rests](TimeInForce::rests).
    pub time_in_force: TimeInForce,
}

/// A stop or stop-limit that waits for its trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The order; not negative, and not in the book.
    pub order_id: i64,
    /// The owner.
    pub account_id: i64,
    /// The side.
    pub side: Side,
    /// A buy is triggered by a trade at this price or above, a sell at it or below.
    pub stop: Ticks,
    /// The limit of a stop-limit; none for a stop.
    pub limit: Option<Ticks>,
    /// The worst price that was reserved for a stop, in cents; none for a stop-limit.
    pub collar_cents: Option<i64>,
    /// Shares: 1 to [`QUANTITY_MAX`](super::QUANTITY_MAX).
    pub quantity: i64,
    /// Place in time within the book, shared with the resting orders: lower is earlier. The book
    /// gives it.
    pub placed: u64,
    /// How long it stays; IOC and FOK count from the trigger on.
    pub time_in_force: TimeInForce,
    /// What gives way to prevent a self-trade, once it is triggered.
    pub self_trade_prevention: SelfTradePrevention,
}

/// The answer to one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the book did.
    pub status: BookStatus,
    /// Why, unless it simply worked.
    pub reason: Option<Reason>,
    /// Shares left in the book, or left unfilled.
    pub leaves: i64,
}

impl Answer {
    /// A refusal: nothing changed.
    pub fn rejected(reason: Reason, leaves: i64) -> Self {
        Self {
            status: BookStatus::Rejected,
            reason: Some(reason),
            leaves,
        }
    }

    /// All of it has traded.
    pub fn filled() -> Self {
        Self {
            status: BookStatus::Filled,
            reason: None,
            leaves: 0,
        }
    }

    /// What was left is cancelled.
    pub(super) fn cancelled(reason: Reason, leaves: i64) -> Self {
        Self {
            status: BookStatus::Cancelled,
            reason: Some(reason),
            leaves,
        }
    }
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// Done.
    Done(Answer),
    /// The order has more to trade.
    More(Incoming),
}

/// One side of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// The order.
    pub order_id: i64,
    /// Its owner.
    pub account_id: i64,
    /// Shares of the order that are left.
    pub leaves: i64,
}

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Two orders traded.
    Trade {
        /// The price: the resting order's, or the auction's.
        price: Ticks,
        /// Shares.
        quantity: i64,
        /// The order that was there first.
        maker: Party,
        /// The order that arrived; in an auction the one that was queued later.
        taker: Party,
        /// The side of the taker.
        taker_side: Side,
    },
    /// A resting order gave way so that its owner does not trade with itself.
    SelfTradePrevented {
        /// The order.
        order_id: i64,
        /// Its owner.
        account_id: i64,
        /// Shares that were left.
        leaves: i64,
    },
}

/// Collects what one step changed; reused, so that it allocates only while it grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// What happened to orders, in order.
    pub events: Vec<Event>,
    touched: Vec<(Side, Ticks)>,
}

impl Effects {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.events.clear();
        self.touched.clear();
    }

    /// Remembers a level that changed.
    pub(super) fn touch(&mut self, side: Side, price: Ticks) {
        // A sweep touches the same level many times in a row.
        if self.touched.last() != Some(&(side, price)) {
            self.touched.push((side, price));
        }
    }

    /// Puts the touched levels in order, each once. Comes before [`Effects::touched`].
    pub fn settle(&mut self) {
        self.touched.sort_unstable();
        self.touched.dedup();
    }

    /// The levels that changed: bids, then asks, by price.
    pub fn touched(&self) -> &[(Side, Ticks)] {
        &self.touched
    }
}

/// A price level as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelView {
    /// The price.
    pub price: Ticks,
    /// Shares that are shown.
    pub quantity: i64,
    /// Orders.
    pub order_count: u32,
}
