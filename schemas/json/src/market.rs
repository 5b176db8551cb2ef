//! The market in JSON.

use brokerx_schemas::{Instrument, Trade};
use serde::Serialize;

use crate::time::rfc3339;
use crate::{Cents, names};

/// An instrument.
#[derive(Debug, Serialize)]
pub struct InstrumentBody {
    symbol: String,
    name: String,
    tick_size: Cents,
    reference_price: Cents,
    /// Percent with two digits: basis points are hundredths of a percent.
    band_percent: Cents,
    status: String,
    version: i32,
    listed_at: String,
    updated_at: String,
}

impl From<&Instrument> for InstrumentBody {
    fn from(instrument: &Instrument) -> Self {
        Self {
            symbol: instrument.symbol.to_string(),
            name: instrument.name.clone(),
            tick_size: Cents(instrument.tick_size_cents),
            reference_price: Cents(instrument.reference_price_cents),
            band_percent: Cents(i64::from(instrument.band_bps)),
            status: names::lower(instrument.status),
            version: instrument.version,
            listed_at: rfc3339(instrument.listed_us),
            updated_at: rfc3339(instrument.updated_us),
        }
    }
}

/// The best prices of a symbol; bid, ask and mid are none while its book is crossed.
#[derive(Debug, Serialize)]
pub struct QuoteBody {
    /// The symbol.
    pub symbol: String,
    /// The highest bid.
    pub bid: Option<Cents>,
    /// The lowest ask.
    pub ask: Option<Cents>,
    /// Halfway between bid and ask, rounded half up to the cent.
    pub mid: Option<Cents>,
    /// The price of the last trade.
    pub last: Option<Cents>,
    /// The last trade, or the listed reference before the first.
    pub reference: Cents,
    /// The number of the last change of the book that is included.
    pub sequence: i64,
    /// Whether it trades.
    pub status: String,
    /// `ok`, or `degraded` while the source is silent.
    pub feed: &'static str,
    /// When the book last changed.
    pub ts: String,
}

/// Whether a symbol trades, and whether what is known of it is up to date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusBody {
    /// The symbol.
    pub symbol: String,
    /// Whether it trades.
    pub status: String,
    /// `ok`, or `degraded` while the source is silent.
    pub feed: &'static str,
}

/// The levels of a symbol.
#[derive(Debug, Serialize)]
pub struct BookBody {
    /// The symbol.
    pub symbol: String,
    /// The number of the last change that is included; the next increment continues from it.
    pub sequence: i64,
    /// Highest first.
    pub bids: Vec<LevelBody>,
    /// Lowest first.
    pub asks: Vec<LevelBody>,
    /// Whether it trades.
    pub status: String,
    /// `ok`, or `degraded` while the source is silent.
    pub feed: &'static str,
    /// When the book last changed.
    pub ts: String,
}

/// A price level.
#[derive(Debug, Serialize)]
pub struct LevelBody {
    /// The price of a share.
    pub price: Cents,
    /// Visible shares at this price.
    pub quantity: i64,
    /// Orders at this price.
    pub order_count: i32,
}

/// A trade as everybody may see it.
#[derive(Debug, Serialize)]
pub struct TradeBody {
    /// Rises from trade to trade of a symbol.
    pub trade_id: String,
    /// The price of a share.
    pub price: Cents,
    /// Shares.
    pub quantity: i64,
    /// The side of the order that took: buy or sell.
    pub taker_side: String,
    /// The number of the book change that the trade is part of.
    pub sequence: i64,
    /// The matcher's time.
    pub executed_at: String,
}

impl From<&Trade> for TradeBody {
    fn from(trade: &Trade) -> Self {
        Self {
            trade_id: trade.trade_id.to_string(),
            price: Cents(trade.price_cents),
            quantity: trade.quantity,
            taker_side: names::lower(trade.taker_side),
            sequence: trade.sequence,
            executed_at: rfc3339(trade.executed_us),
        }
    }
}
