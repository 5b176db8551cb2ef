//! The market as requests see it.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use brokerx_market::{Applied, Keeper, View};
use brokerx_schemas::{Instrument, InstrumentStatus, MarketData, Symbol};

/// A view that many requests read at once.
#[derive(Debug)]
pub struct Market {
    view: RwLock<View>,
}

/// What an order needs to know of its instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Every price is a multiple of this.
    pub tick_cents: i64,
    /// The last trade, or the listed reference before the first.
    pub reference_cents: i64,
    /// Whether the book's partition shows signs of life.
    pub live: bool,
}

impl Market {
    /// A market about which nothing is known yet; a partition is live for `heartbeat_age_max` after a
    /// heartbeat.
    pub fn new(heartbeat_age_max: Duration) -> Self {
        Self {
            view: RwLock::new(View::new(heartbeat_age_max)),
        }
    }

    /// The terms of an instrument; none when it was never listed, or is delisted.
    pub fn terms(&self, symbol: Symbol) -> Option<Terms> {
        let view = self.read();
        let instrument = view.instrument(symbol).filter(|instrument| is_listed(instrument))?;
        Some(Terms {
            tick_cents: instrument.tick_size_cents,
            reference_cents: view.reference_cents(symbol)?,
            live: view.is_live(symbol),
        })
    }

    /// The price that a position is valued at: the last trade, or the listed reference before the first.
    pub fn value_cents(&self, symbol: Symbol) -> Option<i64> {
        self.read().reference_cents(symbol)
    }

    /// The symbols of all instruments that are not delisted.
    pub fn symbols(&self) -> Vec<Symbol> {
        let view = self.read();
        let listed = view.instruments().filter(|instrument| is_listed(instrument));
        listed.map(|instrument| instrument.symbol).collect()
    }

    /// The age of the last heartbeat of the partition that has been silent longest; none before every
    /// partition has had one.
    pub fn heartbeat_age(&self) -> Option<Duration> {
        self.read().heartbeat_age()
    }

    /// A poisoned lock is used all the same: what a panic left half done, the next snapshot of the book repairs.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, View> {
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
