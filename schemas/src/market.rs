//! What the matcher publishes: `trades`, `market-data` and `instruments`. Key: the symbol.

use serde::{Deserialize, Serialize};

use crate::{AccountId, CandleInterval, InstrumentStatus, OrderId, Side, Symbol, TradeId, kinds};

/// A trade, seen from both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// The trade.
    pub trade_id: TradeId,
    /// The instrument.
    pub symbol: Symbol,
    /// Price per share: the resting order's, or the auction's.
    pub price_cents: i64,
    /// Shares.
    pub quantity: i64,
    /// The side of the order that arrived.
    pub taker_side: Side,
    /// The order that arrived; in an auction the one that was queued later.
    pub taker_order_id: OrderId,
    /// Its owner.
    pub taker_account_id: AccountId,
    /// The order that rested.
    pub maker_order_id: OrderId,
    /// Its owner.
    pub maker_account_id: AccountId,
    /// The `sequence` of the book change that the trade is part of.
    pub sequence: i64,
    /// The matcher's machine time, microseconds since the epoch.
    pub executed_us: i64,
}

kinds! {
    /// A record of `trades`.
    TradeEvent, TradeEventKind {
        /// A trade.
        trade: Trade(Trade),
    }
}

/// A price level as it stands after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelChange {
    /// The side of the book.
    pub side: Side,
    /// The price.
    pub price_cents: i64,
    /// Visible shares at the price now; 0 when the level is gone.
    pub quantity: i64,
    /// Orders at the price now.
    pub order_count: i32,
}

/// A price level of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The price.
    pub price_cents: i64,
    /// Visible shares.
    pub quantity: i64,
    /// Orders.
    pub order_count: i32,
}

/// Everything that one command changed in one book (L2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookUpdate {
    /// The instrument.
    pub symbol: Symbol,
    /// Dense per symbol from 1, shared with [`InstrumentStatusChange`].
    pub sequence: i64,
    /// The levels that changed, each once.
    pub changes: Vec<LevelChange>,
    /// The price of the last trade, when the command traded.
    pub last_price_cents: Option<i64>,
    /// The matcher's machine time.
    pub occurred_us: i64,
}

/// The status of an instrument changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstrumentStatusChange {
    /// The instrument.
    pub symbol: Symbol,
    /// Dense per symbol from 1, shared with [`BookUpdate`].
    pub sequence: i64,
    /// The status from here on.
    pub status: InstrumentStatus,
    /// Why, in the operator's words.
    pub note: Option<String>,
    /// The matcher's machine time.
    pub occurred_us: i64,
}

/// The book of one symbol as it stands; written in turns, every symbol within the snapshot cycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookSnapshot {
    /// The instrument.
    pub symbol: Symbol,
    /// The last sequence number that the snapshot includes; 0 for an untouched book.
    pub sequence: i64,
    /// Bids, highest price first.
    pub bids: Vec<Level>,
    /// Asks, lowest price first.
    pub asks: Vec<Level>,
    /// False when the book has more levels than a snapshot carries.
    pub complete: bool,
    /// The price of the last trade.
    pub last_price_cents: Option<i64>,
    /// The reference for bands and collars: the last trade, or the listed reference before the first.
    pub reference_price_cents: i64,
    /// The status.
    pub status: InstrumentStatus,
    /// The matcher's machine time.
    pub occurred_us: i64,
}

/// A sign of life of one book partition, once a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The book partition.
    pub partition: i32,
    /// The tick that caused it, in seconds since the epoch.
    pub second: i64,
    /// Instruments in the partition that are not delisted: each is in a snapshot once per cycle.
    pub instruments: i32,
}

/// What traded within one interval of machine time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candle {
    /// The length.
    pub interval: CandleInterval,
    /// Where it begins: a multiple of the interval, microseconds since the epoch.
    pub start_us: i64,
    /// Price of the first trade.
    pub open_cents: i64,
    /// Highest price.
    pub high_cents: i64,
    /// Lowest price.
    pub low_cents: i64,
    /// Price of the last trade.
    pub close_cents: i64,
    /// Shares traded.
    pub volume: i64,
    /// Trades.
    pub trade_count: i64,
    /// Whether its time is over; otherwise it is still growing and comes again.
    pub closed: bool,
}

/// Candles of one symbol: those that are over, and the longer ones as they stand, once for each
/// second in which it traded. Of several records about one candle the last one counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandleUpdate {
    /// The instrument.
    pub symbol: Symbol,
    /// The candles, the shortest interval first, within one interval the earlier first.
    pub candles: Vec<Candle>,
    /// The matcher's machine time.
    pub occurred_us: i64,
}

kinds! {
    /// A record of `market-data`.
    MarketData, MarketDataKind {
        /// A book changed.
        book_update: BookUpdate(BookUpdate),
        /// An instrument's status changed.
        instrument_status_change: InstrumentStatusChange(InstrumentStatusChange),
        /// A book as it stands.
        book_snapshot: BookSnapshot(BookSnapshot),
        /// A sign of life.
        heartbeat: Heartbeat(Heartbeat),
        /// Candles closed or grew.
        candle_update: CandleUpdate(CandleUpdate),
    }
}

/// A listed instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// The symbol.
    pub symbol: Symbol,
    /// The name.
    pub name: String,
    /// Every price is a multiple of this.
    pub tick_size_cents: i64,
    /// The reference price that it was listed with.
    pub reference_price_cents: i64,
    /// How far a limit may be from the last trade, in basis points.
    pub band_bps: i32,
    /// The status.
    pub status: InstrumentStatus,
    /// Counts the changes, from 1.
    pub version: i32,
    /// When it was listed: machine time, microseconds since the epoch.
    pub listed_us: i64,
    /// When it last changed.
    pub updated_us: i64,
}

kinds! {
    /// A record of `instruments`.
    InstrumentEvent, InstrumentEventKind {
        /// An instrument as it stands.
        instrument: Instrument(Instrument),
    }
}
