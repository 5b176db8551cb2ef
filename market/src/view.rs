//! Everything that is known of the market.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use brokerx_json::{BookBody, Cents, LevelBody, QuoteBody, StatusBody, divide_half_up, names, rfc3339};
use brokerx_schemas::{Heartbeat, Instrument, InstrumentStatus, MarketData, Symbol};
use brokerx_topics::partition::{partition_of, symbol_key};
use brokerx_topics::service::since;

use crate::book::{Applied, Book};

/// Instruments, books and heartbeats. A partition is live while its last heartbeat is recent enough; the
/// books of other partitions are shown as degraded.
#[derive(Debug)]
pub struct View {
    instruments: BTreeMap<Symbol, Instrument>,
    /// Whether all instruments that exist have been read.
    instruments_read: bool,
    books: HashMap<Symbol, Book>,
    /// The last heartbeat of each book partition.
    heartbeats: Vec<Option<Heartbeat>>,
    /// For each book partition, the symbols that have had a snapshot.
    snapshots: Vec<BTreeSet<Symbol>>,
    /// For each book partition, whether all of its books have been seen since reading began.
    seen: Vec<bool>,
    heartbeat_age_max: Duration,
}

/// Names what [`View::book_body`] shows, without its levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookVersion {
    sequence: i64,
    updated_us: i64,
    /// How often the book was replaced as a whole.
    snapshots: u64,
    status: String,
    feed: &'static str,
}

impl View {
    /// A market about which nothing is known yet; a partition is live for `heartbeat_age_max` after a
    /// heartbeat.
    pub fn new(heartbeat_age_max: Duration) -> Self {
        Self {
            instruments: BTreeMap::new(),
            instruments_read: false,
            books: HashMap::new(),
            heartbeats: Vec::new(),
            snapshots: Vec::new(),
            seen: Vec::new(),
            heartbeat_age_max,
        }
    }

    /// Takes an instrument, unless a newer version is known; returns whether it was taken.
    pub fn learn(&mut self, instrument: Instrument) -> bool {
        let known = self.instruments.get(&instrument.symbol);
        let is_news = known.is_none_or(|known| instrument.version >= known.version);
        if is_news {
            self.instruments.insert(instrument.symbol, instrument);
        }
        is_news
    }

    /// Notes that all instruments that exist have been read.
    pub fn instruments_read(&mut self) {
        self.instruments_read = true;
    }

    /// Whether all instruments that exist have been read; before, one that is not known may exist all the same.
    pub fn has_instruments(&self) -> bool {
        self.instruments_read
    }

    /// Reading of the books begins, for the first time or anew. Changes may have been missed, so each book
    /// waits for its next snapshot; until then it keeps its prices.
    pub fn restart(&mut self, partitions: usize) {
        self.heartbeats = vec![None; partitions];
        self.snapshots = vec![BTreeSet::new(); partitions];
        self.seen = vec![false; partitions];
        self.books.values_mut().for_each(Book::distrust);
    }

    /// Takes a record of a partition of `market-data`. For an increment, returns what it did to its book.
    /// A view keeps no candles.
    pub fn take(&mut self, partition: usize, message: &MarketData) -> Option<Applied> {
        let applied = self.keep(partition, message);
        if let Some(seen) = self.seen.get(partition)
            && !seen
        {
            self.seen[partition] = self.shows_all(partition);
        }
        applied
    }

    fn keep(&mut self, partition: usize, message: &MarketData) -> Option<Applied> {
        match message {
            MarketData::Heartbeat(heartbeat) => {
                if let Some(last) = self.heartbeats.get_mut(partition) {
                    *last = Some(*heartbeat);
                }
                None
            }
            MarketData::BookSnapshot(snapshot) => {
                if let Some(seen) = self.snapshots.get_mut(partition) {
                    seen.insert(snapshot.symbol);
                }
                self.books.entry(snapshot.symbol).or_default().snapshot(snapshot);
                None
            }
            MarketData::BookUpdate(update) => Some(self.books.entry(update.symbol).or_default().update(update)),
            MarketData::InstrumentStatusChange(change) => {
                Some(self.books.entry(change.symbol).or_default().status_change(change))
            }
            // Unknown is a kind that a newer matcher writes.
            MarketData::CandleUpdate(_) | MarketData::Unknown => None,
        }
    }

    /// Whether every partition has shown a sign of life and all of its books.
    pub fn is_complete(&self) -> bool {
        !self.heartbeats.is_empty() && (0..self.heartbeats.len()).all(|partition| self.shows_all(partition))
    }

    fn shows_all(&self, partition: usize) -> bool {
        self.heartbeats[partition]
            .is_some_and(|heartbeat| self.snapshots[partition].len() as i64 >= i64::from(heartbeat.instruments))
    }

    /// The age of the last heartbeat of the partition that has been silent longest; none before every
    /// partition has had one.
    pub fn heartbeat_age(&self) -> Option<Duration> {
        let seconds = self
            .heartbeats
            .iter()
            .map(|last| last.map(|heartbeat| heartbeat.second));
        Some(age(seconds.min()??))
    }

    /// Whether the partition of a symbol's book shows signs of life.
    pub fn is_live(&self, symbol: Symbol) -> bool {
        let last = self.partition(symbol).and_then(|partition| self.heartbeats[partition]);
        last.is_some_and(|heartbeat| age(heartbeat.second) <= self.heartbeat_age_max)
    }

    /// The partition of a symbol's book; none before reading began.
    fn partition(&self, symbol: Symbol) -> Option<usize> {
        let partitions = self.heartbeats.len();
        (partitions > 0).then(|| partition_of(&symbol_key(symbol), partitions as i32) as usize)
    }

    /// An instrument, even when it is delisted.
    pub fn instrument(&self, symbol: Symbol) -> Option<&Instrument> {
        self.instruments.get(&symbol)
    }

    /// All instruments by symbol, including delisted ones.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.instruments.values()
    }

    /// Whether an instrument with that symbol may exist; before all were read, any may.
    pub fn may_be_listed(&self, symbol: Symbol) -> bool {
        !self.instruments_read || self.instruments.contains_key(&symbol)
    }

    /// The book of a symbol, once anything is known of it.
    pub fn book(&self, symbol: Symbol) -> Option<&Book> {
        self.books.get(&symbol)
    }

    /// The last trade, or the listed reference before the first, cents. None while there may be a last trade that
    /// has not been read yet.
    pub fn reference_cents(&self, symbol: Symbol) -> Option<i64> {
        let instrument = self.instrument(symbol)?;
        let of_book = self.book(symbol).and_then(Book::reference_cents);
        // A delisted instrument has no book any more.
        let is_seen = instrument.status == InstrumentStatus::Delisted
            || self.partition(symbol).is_some_and(|partition| self.seen[partition]);
        of_book.or_else(|| is_seen.then_some(instrument.reference_price_cents))
    }

    /// The quote of an instrument; it has no prices while the book is not known.
    pub fn quote_body(&self, symbol: Symbol) -> Option<QuoteBody> {
        self.shown(symbol, |instrument, book, feed| {
            let (bid, ask) = book.best();
            let mid = bid
                .zip(ask)
                .and_then(|(bid, ask)| divide_half_up(bid.checked_add(ask)?, 2));
            QuoteBody {
                symbol: symbol.to_string(),
                bid: bid.map(Cents),
                ask: ask.map(Cents),
                mid: mid.map(Cents),
                last: book.last_cents().map(Cents),
                reference: Cents(book.reference_cents().unwrap_or(instrument.reference_price_cents)),
                sequence: book.sequence(),
                status: status(instrument, book),
                feed,
                ts: rfc3339(book.updated_us()),
            }
        })
    }

    /// The status of an instrument, even while its book is not known.
    pub fn status_body(&self, symbol: Symbol) -> Option<StatusBody> {
        self.shown(symbol, |instrument, book, feed| StatusBody {
            symbol: symbol.to_string(),
            status: status(instrument, book),
            feed,
        })
    }

    /// What [`View::book_body`] depends on besides the symbol: while this is the same, so is the body.
    pub fn book_version(&self, symbol: Symbol) -> Option<BookVersion> {
        self.shown(symbol, |instrument, book, feed| BookVersion {
            sequence: book.sequence(),
            updated_us: book.updated_us(),
            snapshots: book.snapshots(),
            status: status(instrument, book),
            feed,
        })
    }

    /// The levels of an instrument; there are none while its book is not known.
    pub fn book_body(&self, symbol: Symbol) -> Option<BookBody> {
        let level = |(price, quantity, order_count)| LevelBody {
            price: Cents(price),
            quantity,
            order_count,
        };
        self.shown(symbol, |instrument, book, feed| BookBody {
            symbol: symbol.to_string(),
            sequence: book.sequence(),
            bids: book.bids().map(level).collect(),
            asks: book.asks().map(level).collect(),
            status: status(instrument, book),
            feed,
            ts: rfc3339(book.updated_us()),
        })
    }

    /// Shows an instrument from its book and the state of its feed; none when the symbol is not known.
    fn shown<T>(&self, symbol: Symbol, show: impl FnOnce(&Instrument, &Book, &'static str) -> T) -> Option<T> {
        let instrument = self.instrument(symbol)?;
        let unknown = Book::default();
        let book = self.book(symbol).unwrap_or(&unknown);
        // A delisted instrument gets no more snapshots, so there is nothing to wait for.
        let is_known = book.is_valid() || instrument.status == InstrumentStatus::Delisted;
        let feed = if is_known && self.is_live(symbol) {
            "ok"
        } else {
            "degraded"
        };
        Some(show(instrument, book, feed))
    }
}

fn status(instrument: &Instrument, book: &Book) -> String {
    // The book of a delisted instrument is gone, so nothing would correct the last status that it reported.
    let of_instrument = instrument.status;
    let status = if of_instrument == InstrumentStatus::Delisted {
        of_instrument
    } else {
        book.status().unwrap_or(of_instrument)
    };
    names::lower(status)
}

/// How long ago a second began; zero when this machine's clock is behind the sender's.
fn age(second: i64) -> Duration {
    since(second.saturating_mul(1_000_000))
}
