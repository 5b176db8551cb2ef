//! The market as requests see it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use axum::body::Bytes;
use brokerx_market::{Applied, BookVersion, Keeper, View};
use brokerx_schemas::{Instrument, InstrumentStatus, MarketData, Symbol};

use crate::http::Problem;

/// A view that many requests read at once.
#[derive(Debug)]
pub struct Market {
    view: RwLock<View>,
    books: Mutex<HashMap<Symbol, (BookVersion, Bytes)>>,
}

/// What an order needs to know of its instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Every price is a multiple of this.
    pub tick_cents: i64,
    /// The last trade, or the listed reference before the first; none while it is not known.
    pub reference_cents: Option<i64>,
    /// Whether the book's partition shows signs of life.
    pub live: bool,
}

impl Market {
    /// A market about which nothing is known yet; a partition is live for `heartbeat_age_max` after a
    /// heartbeat.
    pub fn new(heartbeat_age_max: Duration) -> Self {
        Self {
            view: RwLock::new(View::new(heartbeat_age_max)),
            books: Mutex::default(),
        }
    }

    /// The terms of an instrument; none when it was never listed, or is delisted.
    ///
    /// # Errors
    /// As [`Market::known`].
    pub fn terms(&self, symbol: Symbol) -> Result<Option<Terms>, Problem> {
        let view = self.known()?;
        let instrument = view.instrument(symbol).filter(|instrument| is_listed(instrument));
        Ok(instrument.map(|instrument| Terms {
            tick_cents: instrument.tick_size_cents,
            reference_cents: view.reference_cents(symbol),
            live: view.is_live(symbol),
        }))
    }

    /// The price that a position is valued at: the last trade, or the listed reference before the first; none while
    /// it is not known.
    pub fn value_cents(&self, symbol: Symbol) -> Option<i64> {
        self.read().reference_cents(symbol)
    }

    /// The instrument that a text names, also a delisted one; none when there is no such instrument.
    ///
    /// # Errors
    /// As [`Market::known`].
    pub fn named(&self, symbol: &str) -> Result<Option<Symbol>, Problem> {
        let view = self.known()?;
        let named = Symbol::new(symbol).ok();
        Ok(named.filter(|symbol| view.instrument(*symbol).is_some()))
    }

    /// The symbols of all instruments that are not delisted.
    ///
    /// # Errors
    /// As [`Market::known`].
    pub fn symbols(&self) -> Result<Vec<Symbol>, Problem> {
        let view = self.known()?;
        let listed = view.instruments().filter(|instrument| is_listed(instrument));
        Ok(listed.map(|instrument| instrument.symbol).collect())
    }

    /// The age of the last heartbeat of the partition that has been silent longest; none before every
    /// partition has had one.
    pub fn heartbeat_age(&self) -> Option<Duration> {
        self.read().heartbeat_age()
    }

    /// The book of an instrument as JSON; none when there is no such instrument. However many ask for it, the
    /// text of a state of the book is made once.
    ///
    /// # Errors
    /// As [`Market::known`].
    pub(super) fn book_text(&self, symbol: Symbol) -> Result<Option<Bytes>, Problem> {
        Ok(self.book_text_of(&*self.known()?, symbol))
    }

    fn book_text_of(&self, view: &View, symbol: Symbol) -> Option<Bytes> {
        let version = view.book_version(symbol)?;
        let known = |books: &HashMap<Symbol, (BookVersion, Bytes)>| {
            let (of_text, text) = books.get(&symbol)?;
            (*of_text == version).then(|| text.clone())
        };
        if let Some(text) = known(&self.lock_books()) {
            return Some(text);
        }
        // Not under the lock: a large book must not hold up those who ask for others.
        let text = serde_json::to_vec(&view.book_body(symbol)?).expect("a book has text keys and plain values");
        let text = Bytes::from(text);
        self.lock_books().insert(symbol, (version, text.clone()));
        Some(text)
    }

    /// Each entry is whole, whoever panicked.
    fn lock_books(&self) -> MutexGuard<'_, HashMap<Symbol, (BookVersion, Bytes)>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the market, once that is every instrument. Until then nobody can be told that there is no
    /// such instrument: whoever sends an order again after a failure would take it for the order's outcome.
    ///
    /// # Errors
    /// 503 before all instruments were read, shortly after the start.
    pub(super) fn known(&self) -> Result<RwLockReadGuard<'_, View>, Problem> {
        Some(self.read()).filter(|view| view.has_instruments()).ok_or_else(|| {
            Problem::unavailable(
                "MARKET_UNAVAILABLE",
                "this server has just started and is still reading the instruments; try again",
            )
        })
    }

    /// A poisoned lock is used all the same: what a panic left half done, the next snapshot of the book repairs.
    fn read(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_listed(instrument: &Instrument) -> bool {
    instrument.status != InstrumentStatus::Delisted
}

impl Keeper for Market {
    fn learn(&self, instrument: Instrument) {
        self.write().learn(instrument);
    }

    fn instruments_read(&self) {
        self.write().instruments_read();
    }

    fn restart(&self, partitions: usize) {
        self.write().restart(partitions);
    }

    fn take(&self, partition: usize, message: &MarketData) -> Option<Applied> {
        self.write().take(partition, message)
    }

    fn is_complete(&self) -> bool {
        self.read().is_complete()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_schemas::{BookSnapshot, Heartbeat, Level};

    use super::*;

    fn symbol() -> Symbol {
        Symbol::new("AAPL").unwrap()
    }

    fn instrument() -> Instrument {
        Instrument {
            symbol: symbol(),
            name: "Apple".to_owned(),
            tick_size_cents: 1,
            reference_price_cents: 10_000,
            band_bps: 500,
            status: InstrumentStatus::Open,
            version: 1,
            listed_us: 0,
            updated_us: 0,
        }
    }

    fn whole(sequence: i64, quantity: i64) -> MarketData {
        MarketData::BookSnapshot(BookSnapshot {
            symbol: symbol(),
            sequence,
            bids: vec![Level {
                price_cents: 9_900,
                quantity,
                order_count: 1,
            }],
            asks: Vec::new(),
            complete: true,
            last_price_cents: None,
            reference_price_cents: 10_000,
            status: InstrumentStatus::Open,
            occurred_us: 1,
        })
    }

    #[test]
    fn nobody_is_told_of_a_market_that_is_still_being_read() {
        let market = Market::new(Duration::from_secs(3));
        let code = |problem: Problem| (problem.status().as_u16(), problem.code().to_owned());
        let not_yet = || (503, "MARKET_UNAVAILABLE".to_owned());
        for is_part_read in [false, true] {
            if is_part_read {
                market.learn(instrument());
            }
            assert_eq!(market.terms(symbol()).map_err(code), Err(not_yet()));
            assert_eq!(market.named("NOPE").map_err(code), Err(not_yet()));
            assert_eq!(market.symbols().map_err(code), Err(not_yet()));
            assert_eq!(market.book_text(symbol()).map_err(code), Err(not_yet()));
        }
        market.instruments_read();
        assert_eq!(market.terms(Symbol::new("NOPE").unwrap()).unwrap(), None);
        assert_eq!(market.named("NOPE").unwrap(), None);
        assert_eq!(market.symbols().unwrap(), [symbol()]);
    }

    #[test]
    fn the_listed_reference_counts_once_no_trade_can_be_missing() {
        let market = Market::new(Duration::from_secs(3));
        market.learn(instrument());
        market.instruments_read();
        let reference = || market.terms(symbol()).unwrap().unwrap().reference_cents;
        market.restart(1);
        let second = Heartbeat {
            partition: 0,
            second: 1,
            instruments: 1,
        };
        market.take(0, &MarketData::Heartbeat(second));
        assert_eq!(
            (reference(), market.value_cents(symbol())),
            (None, None),
            "its book has not been seen"
        );
        market.take(0, &whole(1, 5));
        assert_eq!(reference(), Some(10_000));
        // An instrument that is listed later has had no trade.
        let later = Instrument {
            symbol: Symbol::new("LATER").unwrap(),
            reference_price_cents: 5_000,
            ..instrument()
        };
        market.learn(later.clone());
        assert_eq!(market.value_cents(later.symbol), Some(5_000));
    }

    #[test]
    fn the_text_of_a_book_is_made_once_for_each_of_its_states() {
        let market = Market::new(Duration::from_secs(3));
        market.instruments_read();
        assert_eq!(market.book_text(symbol()).unwrap(), None);
        market.learn(instrument());
        market.restart(1);
        market.take(0, &whole(1, 5));
        let text = || market.book_text(symbol()).unwrap().unwrap();
        let (first, again) = (text(), text());
        assert_eq!(first.as_ptr(), again.as_ptr(), "the same text");
        assert!(std::str::from_utf8(&first).unwrap().contains("\"quantity\":5"));
        // Also when a whole book comes with a number that was there before.
        for (sequence, quantity) in [(2, 6), (2, 7)] {
            market.take(0, &whole(sequence, quantity));
            let expected = serde_json::to_vec(&market.read().book_body(symbol()).unwrap()).unwrap();
            assert_eq!(text(), expected);
        }
        // A source that falls silent is a state of its own.
        market.restart(1);
        assert!(std::str::from_utf8(&text()).unwrap().contains("degraded"));
    }
}
