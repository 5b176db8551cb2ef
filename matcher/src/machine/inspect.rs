//! A matcher from outside: for trials, tests and diagnosis.

use brokerx_schemas::{BookCommand, Config, Instrument, Symbol};
use brokerx_topics::machine::{Machine, Setup};

use super::listing::Listing;
use super::state::Matcher;
use crate::book::{Book, Broken, Side};

/// The topics that a matcher writes to.
const DESTINATIONS: [&str; 5] = ["account-commands", "trades", "market-data", "instruments", "replies"];

impl Matcher {
    /// What a machine without a log is told about its place: the first partition, and as many
    /// partitions in each topic that it writes to.
    pub fn trial_setup(config: Config, partitions: i32) -> Setup {
        Setup {
            log_id: "trial".to_owned(),
            partition: 0,
            generation: 0,
            logic_version: Self::LOGIC_VERSION_MAX,
            config_version: 1,
            config,
            topics: DESTINATIONS.map(|topic| (topic.to_owned(), partitions)).to_vec(),
        }
    }

    /// A machine with one instrument listed, for trials without a log. Here the instrument may have a
    /// reference price of 0: it has none before its first trade.
    pub fn for_trials(setup: &Setup, instrument: Instrument) -> Self {
        let mut matcher = Self::empty(setup);
        matcher.add_listing(Listing::new(instrument));
        matcher
    }

    /// What bands and collars of a symbol are measured from, in cents: the last trade, or the listed
    /// reference before the first.
    pub fn reference_cents(&self, symbol: Symbol) -> Option<i64> {
        self.listing(symbol).map(Listing::reference_cents)
    }

    /// Checks a whole book: for tests and diagnosis.
    ///
    /// # Errors
    /// When it contradicts itself.
    pub fn check_book(&self, symbol: Symbol) -> Result<(), Broken> {
        match self.listing(symbol) {
            Some(listing) => listing.book.check_all(listing.trading()),
            None => Ok(()),
        }
    }

    /// An instrument as it stands.
    pub fn instrument(&self, symbol: Symbol) -> Option<&Instrument> {
        self.listing(symbol).map(|listing| &listing.instrument)
    }

    /// The book of a symbol, in ticks of its instrument.
    pub fn book(&self, symbol: Symbol) -> Option<&Book> {
        self.listing(symbol).map(|listing| &listing.book)
    }

    /// The commands on a frozen symbol up to the one that broke its book, as far as they were kept
    /// since the process started.
    pub fn diagnosis(&self, symbol: Symbol) -> &[BookCommand] {
        self.diagnoses.get(&symbol).map_or(&[], Vec::as_slice)
    }

    /// Makes a book lie about its best level, to show what follows.
    #[doc(hidden)]
    pub fn corrupt(&mut self, symbol: Symbol, side: Side) {
        if let Some(listing) = self.by_symbol.get(&symbol) {
            self.listings[*listing].book.corrupt(side);
        }
    }
}
