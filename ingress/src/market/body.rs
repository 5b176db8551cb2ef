//! The market in JSON.

use brokerx_schemas::{Instrument, InstrumentStatus};
use serde::Serialize;

use super::book::Book;
use crate::clock::rfc3339;
use crate::decimal::{Cents, divide_half_up};
use crate::names;

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

/// Best prices of a symbol; none while its book is crossed.
#[derive(Debug, Serialize)]
pub struct QuoteBody {
    symbol: String,
    bid: Option<Cents>,
    ask: Option<Cents>,
    mid: Option<Cents>,
    last: Option<Cents>,
    reference: Cents,
    sequence: i64,
    status: String,
    feed: &'static str,
    ts: String,
}

impl QuoteBody {
    /// The quote of a book; `live` when its partition shows signs of life.
    pub fn new(instrument: &Instrument, book: &Book, live: bool) -> Self {
        let (bid, ask) = book.best();
        let mid = bid
            .zip(ask)
            .and_then(|(bid, ask)| divide_half_up(bid.checked_add(ask)?, 2));
        Self {
            symbol: instrument.symbol.to_string(),
            bid: bid.map(Cents),
            ask: ask.map(Cents),
            mid: mid.map(Cents),
            last: book.last_cents().map(Cents),
            reference: Cents(book.reference_cents().unwrap_or(instrument.reference_price_cents)),
            sequence: book.sequence(),
            status: status(instrument, book),
            feed: feed(instrument, book, live),
            ts: rfc3339(book.updated_us()),
        }
    }
}

/// Whether a symbol trades, and whether what is known of it is up to date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusBody {
    symbol: String,
    status: String,
    feed: &'static str,
}

impl StatusBody {
    /// The status of an instrument; `live` when its partition shows signs of life.
    pub fn new(instrument: &Instrument, book: &Book, live: bool) -> Self {
        Self {
            symbol: instrument.symbol.to_string(),
            status: status(instrument, book),
            feed: feed(instrument, book, live),
        }
    }
}

/// The levels of a symbol.
#[derive(Debug, Serialize)]
pub(super) struct BookBody {
    symbol: String,
    sequence: i64,
    bids: Vec<LevelBody>,
    asks: Vec<LevelBody>,
    status: String,
    feed: &'static str,
    ts: String,
}

#[derive(Debug, Serialize)]
struct LevelBody {
    price: Cents,
    quantity: i64,
    order_count: i32,
}

impl BookBody {
    pub(super) fn new(instrument: &Instrument, book: &Book, live: bool) -> Self {
        let level = |(price, quantity, order_count)| LevelBody {
            price: Cents(price),
            quantity,
            order_count,
        };
        Self {
            symbol: instrument.symbol.to_string(),
            sequence: book.sequence(),
            bids: book.bids().map(level).collect(),
            asks: book.asks().map(level).collect(),
            status: status(instrument, book),
            feed: feed(instrument, book, live),
            ts: rfc3339(book.updated_us()),
        }
    }
}

fn status(instrument: &Instrument, book: &Book) -> String {
    // A delisted instrument has no book whose status would change again.
    let of_instrument = instrument.status;
    let status = if of_instrument == InstrumentStatus::Delisted {
        of_instrument
    } else {
        book.status().unwrap_or(of_instrument)
    };
    names::lower(status)
}

fn feed(instrument: &Instrument, book: &Book, live: bool) -> &'static str {
    // Of a delisted one there are no snapshots to wait for.
    let is_known = book.is_valid() || instrument.status == InstrumentStatus::Delisted;
    if live && is_known { "ok" } else { "degraded" }
}
