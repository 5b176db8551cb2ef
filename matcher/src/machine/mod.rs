//! The fold over `book-commands`.
//!
//! A command meets its checks in this order: deadline, symbol, frozen, quantity, price, combination
//! of fields, session, halt, price band; then the book's own: post-only, fill-or-kill, self-trade. A
//! cancel only needs the order. Every command on an order is answered by exactly one `CommandDone`,
//! behind the fills that it caused.
//!
//! What one step changes in a book is one `BookUpdate`. A command that causes more than
//! [`EVENTS_MAX`] fills or ends takes several steps at the same offset, and one update each; so do the
//! stops that it triggers, which enter one after the other once it is done.
//!
//! While a book is halted or closed, the configuration says whether orders are refused or collected.
//! A collected book may be crossed; when trading resumes an auction uncrosses it. A market order
//! waits for the auction at its collar and ends with it; IOC and FOK orders cannot wait and are
//! refused. A cancel always works.
//!
//! A book that breaks an invariant is frozen: what it did is published as it stands in the book, later
//! commands on that symbol are refused, an operator can only delist it, and the commands before it
//! are kept for diagnosis. The other symbols go on.

mod calendar;
mod candles;
mod checks;
mod idempotency;
mod instruments;
mod listing;
mod orders;
mod outcome;
mod publish;
mod sessions;
mod snapshot;
mod stops;
mod uncross;
mod work;

use std::collections::{BTreeSet, HashMap, VecDeque};

use brokerx_schemas::{AccountId, BookCommand, CommandId, Config, Instrument, OrderId, Symbol};
use brokerx_topics::machine::{Context, Machine, Outputs, Setup, SnapshotError, Step};
use xxhash_rust::xxh3::xxh3_64;

use crate::book::{Effects, Side};
use idempotency::Keys;
use instruments::Action;
use listing::Listing;
use publish::{Publisher, Routes};
pub use snapshot::Cursor;
use stops::Triggered;
use work::Work;

/// Fills and ends of one step; each is up to three records.
pub const EVENTS_MAX: usize = 256;
/// Books and levels of one step of the snapshot cycle.
const SNAPSHOT_BOOKS_MAX: usize = 64;
const SNAPSHOT_LEVELS_MAX: usize = 8_192;
/// Commands kept for the diagnosis of a frozen book.
const RECENT_MAX: usize = 256;

/// The books of one partition.
#[derive(Debug)]
pub struct Matcher {
    routes: Routes,
    config: Config,
    /// In the order of their listing; none is ever removed.
    listings: Vec<Listing>,
    /// Looked up, never iterated.
    by_symbol: HashMap<Symbol, usize>,
    /// Trades so far: the counter of trade ids.
    trades: i64,
    /// Where the snapshot cycle goes on, and the second in which it last moved.
    snapshot_next: usize,
    last_tick_second: i64,
    /// What the calendar said last.
    calendar_open: bool,
    /// The last day that was told to the accounts, in days since the epoch; none before the first tick.
    day_closed: Option<i32>,
    /// When candles of a listing are next over: machine time in ms, and the listing.
    candles_due: BTreeSet<(i64, usize)>,
    keys: Keys,
    /// Sum over the listings, kept up to date.
    listings_hash: u64,
    /// What is left to do of a record; empty between records. The last is done first.
    work: Vec<Work>,
    /// Stops that trades have reached, until their command is done; then those that wait to enter.
    reached: Vec<Triggered>,
    triggered: VecDeque<Triggered>,
    /// Orders of a snapshot whose book is not complete yet.
    restoring: snapshot::Restoring,
    /// Scratch space.
    effects: Effects,
    /// Not part of the state: the last commands on orders, and those that led to a freeze.
    recent: VecDeque<BookCommand>,
    diagnoses: HashMap<Symbol, Vec<BookCommand>>,
}

/// Who is answered.
#[derive(Clone, Copy, Debug)]
struct Asked {
    account_id: AccountId,
    command_id: CommandId,
    order_id: OrderId,
    symbol: Symbol,
}

impl Matcher {
    /// A machine with one instrument listed, for trials without a log. Here the instrument may have a
    /// reference price of 0: it has none before its first trade.
    pub fn for_trials(setup: &Setup, instrument: Instrument) -> Self {
        let mut matcher = Self::new(setup);
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
    pub fn check_book(&self, symbol: Symbol) -> Result<(), crate::book::Broken> {
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
    pub fn book(&self, symbol: Symbol) -> Option<&crate::book::Book> {
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

    fn listing(&self, symbol: Symbol) -> Option<&Listing> {
        self.by_symbol.get(&symbol).map(|listing| &self.listings[*listing])
    }

    fn add_listing(&mut self, listing: Listing) -> usize {
        let index = self.listings.len();
        self.by_symbol.insert(listing.instrument.symbol, index);
        self.listings.push(listing);
        self.account_for(index);
        index
    }

    /// Brings the sum of hashes up to date after a listing changed.
    fn account_for(&mut self, listing: usize) {
        let (before, after) = self.listings[listing].account();
        self.listings_hash = self.listings_hash.wrapping_sub(before).wrapping_add(after);
    }

    fn remember(&mut self, command: &BookCommand) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(command.clone());
    }

    /// Writes the next books that are due.
    fn write_snapshots(&mut self, context: &Context, mut due: usize, outputs: &mut Outputs) {
        let levels_max = usize::try_from(self.config.snapshot_levels_max).unwrap_or(0);
        let mut publisher = Publisher::new(&self.routes, context, outputs);
        let (mut books, mut levels) = (0, 0);
        while due > 0 {
            if books == SNAPSHOT_BOOKS_MAX || levels >= SNAPSHOT_LEVELS_MAX {
                return self.work.push(Work::Snapshots { due });
            }
            let listing = &self.listings[self.snapshot_next];
            self.snapshot_next = (self.snapshot_next + 1) % self.listings.len();
            due -= 1;
            if listing.standing.delisted {
                continue;
            }
            levels += publisher.book_snapshot(listing, levels_max);
            books += 1;
        }
    }
}

impl Machine for Matcher {
    type Input = BookCommand;
    type Cursor = Cursor;

    const NAME: &'static str = "matcher";
    const LOGIC_VERSION_MAX: i32 = 1;

    fn new(setup: &Setup) -> Self {
        Self {
            routes: Routes::new(setup),
            config: setup.config.clone(),
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
            restoring: snapshot::Restoring::default(),
            effects: Effects::default(),
            recent: VecDeque::with_capacity(RECENT_MAX),
            diagnoses: HashMap::new(),
        }
    }

    fn configure(&mut self, config: &Config, _logic_version: i32) {
        self.config = config.clone();
    }

    fn apply(&mut self, context: &Context, input: BookCommand, outputs: &mut Outputs) -> Step {
        match input {
            BookCommand::NewOrder(_) | BookCommand::ReplaceBookOrder(_) | BookCommand::CancelBookOrder(_) => {
                self.remember(&input);
            }
            _ => {}
        }
        match input {
            BookCommand::NewOrder(order) => self.new_order(context, &order, outputs),
            BookCommand::ReplaceBookOrder(replace) => self.replace_order(context, &replace, outputs),
            BookCommand::CancelBookOrder(cancel) => self.cancel_order(context, &cancel, outputs),
            BookCommand::ListInstrument(command) => self.list(context, command, outputs),
            BookCommand::HaltInstrument(command) => self.operate(context, Action::Halt, command, outputs),
            BookCommand::ResumeInstrument(command) => self.operate(context, Action::Resume, command, outputs),
            BookCommand::DelistInstrument(command) => self.operate(context, Action::Delist, command, outputs),
            BookCommand::OpenSession(command) => self.operate(context, Action::Open, command, outputs),
            BookCommand::CloseSession(command) => self.operate(context, Action::Close, command, outputs),
            // The fold keeps these to itself.
            BookCommand::Genesis(_) | BookCommand::Config(_) | BookCommand::Tick(_) | BookCommand::Unknown => {}
        }
        self.work(context, outputs)
    }

    fn tick(&mut self, context: &Context, second: i64, outputs: &mut Outputs) -> Step {
        self.keys.forget_before(
            context
                .now_ms
                .saturating_sub(self.config.closed_key_seconds.saturating_mul(1_000)),
        );
        // A delisted one is in no snapshot any more, and nobody shall wait for it.
        let listed = self
            .listings
            .iter()
            .filter(|listing| !listing.standing.delisted)
            .count();
        Publisher::new(&self.routes, context, outputs).heartbeat(second, listed);
        // A tick that comes late writes the part of the seconds that it skipped.
        let cycle = i64::from(self.config.snapshot_cycle_seconds.max(1));
        let elapsed = second.saturating_sub(self.last_tick_second).clamp(1, cycle) as usize;
        self.last_tick_second = second;
        let count = self.listings.len();
        let due = count.saturating_mul(elapsed).div_ceil(cycle as usize).min(count);
        // The last to be pushed is the first to be done.
        self.work.push(Work::Snapshots { due });
        self.follow_calendar(context);
        self.work.push(Work::Candles);
        self.work(context, outputs)
    }

    fn resume(&mut self, context: &Context, outputs: &mut Outputs) -> Step {
        self.work(context, outputs)
    }

    fn state_hash(&self) -> u64 {
        let mut bytes = [0; 33];
        bytes[..8].copy_from_slice(&self.trades.to_le_bytes());
        bytes[8..16].copy_from_slice(&(self.snapshot_next as u64).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.last_tick_second.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.day_closed.map_or(i64::MIN, i64::from).to_le_bytes());
        bytes[32] = u8::from(self.calendar_open);
        self.listings_hash
            .wrapping_add(self.keys.hash())
            .wrapping_add(xxh3_64(&bytes))
    }

    fn snapshot_slice(&self, cursor: &mut Cursor) -> Result<Option<Vec<u8>>, SnapshotError> {
        self.next_slice(cursor)
    }

    fn restore_slice(&mut self, slice: &[u8]) -> Result<(), SnapshotError> {
        self.take_slice(slice)
    }
}
