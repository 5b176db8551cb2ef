//! Everything that is known of the market, shared by the readers and the requests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use brokerx_schemas::{Heartbeat, Instrument, InstrumentStatus, Symbol};
use brokerx_topics::partition::{partition_of, symbol_key};

use super::book::Book;
use crate::clock::now_us;

/// The market.
#[derive(Debug)]
pub struct Market {
    state: RwLock<State>,
    heartbeat_age_max: Duration,
}

/// What the readers have learned.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) instruments: BTreeMap<Symbol, Instrument>,
    pub(super) books: HashMap<Symbol, Book>,
    /// The last heartbeat of each book partition.
    pub(super) heartbeats: Vec<Option<Heartbeat>>,
    /// The symbols of each partition that a snapshot came of.
    pub(super) snapshots: Vec<BTreeSet<Symbol>>,
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
    /// A market of which nothing is known; a heartbeat is good for `heartbeat_age_max`.
    pub fn new(heartbeat_age_max: Duration) -> Self {
        Self {
            state: RwLock::default(),
            heartbeat_age_max,
        }
    }

    /// The terms of an instrument; none when it is not listed, or delisted.
    pub fn terms(&self, symbol: Symbol) -> Option<Terms> {
        let state = self.read();
        let instrument = state.instruments.get(&symbol)?;
        if instrument.status == InstrumentStatus::Delisted {
            return None;
        }
        let reference = state.books.get(&symbol).and_then(Book::reference_cents);
        Some(Terms {
            tick_cents: instrument.tick_size_cents,
            reference_cents: reference.unwrap_or(instrument.reference_price_cents),
            live: self.is_live(&state, symbol),
        })
    }

    /// The price that a position is valued at: the last trade, or the listed reference before the first.
    pub fn value_cents(&self, symbol: Symbol) -> Option<i64> {
        let state = self.read();
        let reference = state.books.get(&symbol).and_then(Book::reference_cents);
        reference.or_else(|| Some(state.instruments.get(&symbol)?.reference_price_cents))
    }

    /// The symbols of all instruments that are not delisted.
    pub fn symbols(&self) -> Vec<Symbol> {
        let state = self.read();
        let listed = state
            .instruments
            .values()
            .filter(|instrument| instrument.status != InstrumentStatus::Delisted);
        listed.map(|instrument| instrument.symbol).collect()
    }

    /// Takes an instrument, unless a newer version is known.
    pub fn learn(&self, instrument: Instrument) {
        let mut state = self.write();
        let known = state
            .instruments
            .get(&instrument.symbol)
            .map_or(0, |known| known.version);
        if instrument.version >= known {
            state.instruments.insert(instrument.symbol, instrument);
        }
    }

    /// Age of the oldest of the partitions' last heartbeats; none before each partition had one.
    pub fn heartbeat_age(&self) -> Option<Duration> {
        let state = self.read();
        let oldest = state
            .heartbeats
            .iter()
            .map(|heartbeat| heartbeat.map(|heartbeat| heartbeat.second))
            .min()??;
        Some(age(oldest))
    }

    /// Whether every partition has shown a sign of life and all of its books.
    pub(super) fn is_complete(&self) -> bool {
        let state = self.read();
        !state.heartbeats.is_empty()
            && state
                .heartbeats
                .iter()
                .zip(&state.snapshots)
                .all(|(heartbeat, snapshots)| {
                    heartbeat.is_some_and(|heartbeat| snapshots.len() as i64 >= i64::from(heartbeat.instruments))
                })
    }

    pub(super) fn is_live(&self, state: &State, symbol: Symbol) -> bool {
        if state.heartbeats.is_empty() {
            return false;
        }
        let partition = partition_of(&symbol_key(symbol), state.heartbeats.len() as i32) as usize;
        state.heartbeats[partition].is_some_and(|heartbeat| age(heartbeat.second) <= self.heartbeat_age_max)
    }

    /// A thread that panicked while it held the lock left a book that the next snapshot mends.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long ago a second began. A clock that runs behind the sender's sees no age.
fn age(second: i64) -> Duration {
    Duration::from_micros(u64::try_from(now_us() - second * 1_000_000).unwrap_or(0))
}
