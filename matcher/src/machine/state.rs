//! The state of a matcher, and its listings.

use std::collections::{BTreeSet, HashMap, VecDeque};

use brokerx_schemas::{BookCommand, Config, Symbol};
use brokerx_topics::machine::Setup;

use super::idempotency::Keys;
use super::listing::Listing;
use super::publish::Routes;
use super::restoring::Restoring;
use super::work::{Triggered, Work};
use crate::book::Effects;

/// Commands kept for the diagnosis of a frozen book.
const RECENT_MAX: usize = 256;

/// The books of one partition.
#[derive(Debug)]
pub struct Matcher {
    pub(super) routes: Routes,
    pub(super) config: Config,
    /// Which decisions the log asks for: `docs/logic-versions.md`.
    pub(super) logic_version: i32,
    /// In the order of their listing; none is ever removed.
    pub(super) listings: Vec<Listing>,
    /// Looked up, never iterated.
    pub(super) by_symbol: HashMap<Symbol, usize>,
    /// Trades so far: the counter of trade ids.
    pub(super) trades: i64,
    /// Where the snapshot cycle goes on, and the second in which it last moved.
    pub(super) snapshot_next: usize,
    pub(super) last_tick_second: i64,
    /// What the calendar said last.
    pub(super) calendar_open: bool,
    /// The last day that was told to the accounts, in days since the epoch; none before the first tick.
    pub(super) day_closed: Option<i32>,
    /// When candles of a listing are next over: machine time in ms, and the listing.
    pub(super) candles_due: BTreeSet<(i64, usize)>,
    pub(super) keys: Keys,
    /// Sum over the listings, kept up to date.
    pub(super) listings_hash: u64,
    /// What is left to do of a record; empty between records. The last is done first.
    pub(super) work: Vec<Work>,
    /// Stops that trades have reached, until their command is done; then those that wait to enter.
    pub(super) reached: Vec<Triggered>,
    pub(super) triggered: VecDeque<Triggered>,
    /// Orders of a snapshot whose book is not complete yet.
    pub(super) restoring: Restoring,
    /// Scratch space.
    pub(super) effects: Effects,
    /// Not part of the state: the last commands on orders, and those that led to a freeze.
    pub(super) recent: VecDeque<BookCommand>,
    pub(super) diagnoses: HashMap<Symbol, Vec<BookCommand>>,
}

impl Matcher {
    /// A machine without a listing.
    pub(super) fn empty(setup: &Setup) -> Self {
        Self {
            routes: Routes::new(setup),
            config: setup.config.clone(),
            logic_version: setup.logic_version,
            listings: Vec::new(),
            by_symbol: HashMap::new(),
            trades: 0,
            snapshot_next: 0,
            last_tick_second: 0,
            calendar_open: true,
            day_closed: None,
            candles_due: BTreeSet::new(),
            keys: Keys::default(),
            listings_hash: 0,
            work: Vec::new(),
            reached: Vec::new(),
            triggered: VecDeque::new(),
            restoring: Restoring::default(),
            effects: Effects::default(),
            recent: VecDeque::with_capacity(RECENT_MAX),
            diagnoses: HashMap::new(),
        }
    }

    pub(super) fn listing(&self, symbol: Symbol) -> Option<&Listing> {
        self.by_symbol.get(&symbol).map(|listing| &self.listings[*listing])
    }

    pub(super) fn add_listing(&mut self, listing: Listing) -> usize {
        let index = self.listings.len();
        self.by_symbol.insert(listing.instrument.symbol, index);
        self.listings.push(listing);
        self.account_for(index);
        index
    }

    /// Brings the sum of hashes up to date after a listing changed.
    pub(super) fn account_for(&mut self, listing: usize) {
        let (before, after) = self.listings[listing].account();
        self.listings_hash = self.listings_hash.wrapping_sub(before).wrapping_add(after);
    }

    /// Keeps a command for the diagnosis of a book that freezes.
    pub(super) fn remember(&mut self, command: &BookCommand) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(command.clone());
    }
}
