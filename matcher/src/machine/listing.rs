//! An instrument with its book.

use brokerx_schemas::{Instrument, InstrumentStatus};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::candles::Candles;
use crate::book::{Book, Ticks, Trading};

/// What stands in the way of trading; each on its own, so that a halt outlives a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub halted: bool,
    pub session_closed: bool,
    pub frozen: bool,
    pub delisted: bool,
}

impl Standing {
    /// Whether orders trade as they come.
    pub fn trades(self) -> bool {
        self == Self::default()
    }

    /// The one status that others see: the gravest.
    pub fn status(self) -> InstrumentStatus {
        match self {
            Self { delisted: true, .. } => InstrumentStatus::Delisted,
            Self { frozen: true, .. } => InstrumentStatus::Frozen,
            Self {
                session_closed: true, ..
            } => InstrumentStatus::Closed,
            Self { halted: true, .. } => InstrumentStatus::Halted,
            _ => InstrumentStatus::Open,
        }
    }
}

/// An instrument, its standing and its book.
#[derive(Debug)]
pub(super) struct Listing {
    /// Its `status` repeats [`Standing::status`].
    pub instrument: Instrument,
    pub standing: Standing,
    pub last_price_cents: Option<i64>,
    /// The last sequence number published on `market-data`; only [`Listing::next_sequence`] and a
    /// snapshot change it.
    sequence: i64,
    pub book: Book,
    /// The candles that are not over yet.
    pub candles: Candles,
    /// Whether an auction is going on: the book trades, but may still be crossed. Between records it
    /// is not.
    pub uncrossing: bool,
    /// Hash over what never changes.
    terms_hash: u64,
    /// What the machine's sum of hashes holds for this listing.
    accounted: u64,
}

impl Listing {
    pub fn new(instrument: Instrument) -> Self {
        let mut terms = Vec::with_capacity(64 + instrument.name.len());
        terms.extend_from_slice(instrument.symbol.as_str().as_bytes());
        for number in [
            instrument.tick_size_cents,
            instrument.reference_price_cents,
            i64::from(instrument.band_bps),
            instrument.listed_us,
        ] {
            terms.extend_from_slice(&number.to_le_bytes());
        }
        terms.extend_from_slice(instrument.name.as_bytes());
        Self {
            standing: Standing::default(),
            last_price_cents: None,
            sequence: 0,
            book: Book::default(),
            candles: Candles::default(),
            uncrossing: false,
            terms_hash: xxh3_64(&terms),
            accounted: 0,
            instrument,
        }
    }

    /// The last sequence number published on `market-data`.
    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    /// Counts one more record with a sequence number: there is no other way to get one, so they are
    /// dense.
    pub fn next_sequence(&mut self) {
        self.sequence += 1;
    }

    /// Takes over the number of a snapshot.
    pub fn restore_sequence(&mut self, sequence: i64) {
        self.sequence = sequence;
    }

    /// What bands and collars are measured from; 0 when there is no reference, which only a machine for
    /// trials has.
    pub fn reference_cents(&self) -> i64 {
        self.last_price_cents.unwrap_or(self.instrument.reference_price_cents)
    }

    /// A price of the book in cents; prices come in as multiples of the tick, so this cannot overflow.
    pub fn cents(&self, price: Ticks) -> i64 {
        price * self.instrument.tick_size_cents
    }

    /// A price in cents in ticks.
    pub fn ticks(&self, price_cents: i64) -> Ticks {
        price_cents / self.instrument.tick_size_cents
    }

    /// What the book must satisfy now.
    pub fn trading(&self) -> Trading {
        if self.standing.trades() && !self.uncrossing {
            Trading::Yes {
                last: self.last_price_cents.map(|price_cents| self.ticks(price_cents)),
            }
        } else {
            Trading::No
        }
    }

    fn hash(&self) -> u64 {
        let standing = u64::from(self.standing.halted)
            | u64::from(self.standing.session_closed) << 1
            | u64::from(self.standing.frozen) << 2
            | u64::from(self.standing.delisted) << 3
            | u64::from(self.last_price_cents.is_some()) << 4;
        let words = [
            self.terms_hash,
            standing,
            self.last_price_cents.unwrap_or(0) as u64,
            self.sequence as u64,
            self.instrument.version as u64,
            self.instrument.updated_us as u64,
        ];
        let mut bytes = [0; 48];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        xxh3_64(&bytes)
            .wrapping_add(self.book.hash())
            .wrapping_add(self.candles.hash())
    }

    /// The hash that the machine's sum holds, and the one that it must hold from here on.
    pub fn account(&mut self) -> (u64, u64) {
        let before = self.accounted;
        self.accounted = self.hash();
        (before, self.accounted)
    }
}
