//! Instruments, books and listeners under one lock, so that whoever joins gets a book and then
//! exactly the changes that come after it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokerx_ingress::clock::now_us;
use brokerx_ingress::market::{Applied, Book, QuoteBody, StatusBody};
use brokerx_schemas::{
    BookSnapshot, BookUpdate, CandleUpdate, Heartbeat, Instrument, InstrumentStatus, InstrumentStatusChange, Symbol,
    Trade,
};
use brokerx_topics::partition::{partition_of, symbol_key};

use super::audience::{Audience, status_message};
use super::body::MarketBody;
use crate::connection::{ConnectionId, Outbox, Outgoing, Push};
use crate::protocol::{Mode, PublicChannel};
use crate::telemetry::ChannelKind;

/// The market and its listeners.
#[derive(Debug)]
pub struct Market {
    state: Mutex<State>,
    heartbeat_age_max: Duration,
}

#[derive(Debug, Default)]
struct State {
    instruments: BTreeMap<Symbol, Instrument>,
    /// Whether all instruments that there are were read.
    instruments_complete: bool,
    books: HashMap<Symbol, Book>,
    audiences: HashMap<Symbol, Audience>,
    /// When the last candles of each symbol were made.
    candles_us: HashMap<Symbol, i64>,
    /// The second of the last heartbeat of each book partition.
    heartbeats: Vec<Option<i64>>,
}

/// What a quote shows of a book.
type Top = (Option<i64>, Option<i64>, Option<i64>, Option<InstrumentStatus>);

fn top(book: &Book) -> Top {
    let (bid, ask) = book.best();
    (bid, ask, book.last_cents(), book.status())
}

/// What a status shows of a book.
fn standing(book: &Book) -> (Option<InstrumentStatus>, bool) {
    (book.status(), book.is_valid())
}

impl Market {
    /// A market of which nothing is known; a heartbeat is good for `heartbeat_age_max`.
    pub fn new(heartbeat_age_max: Duration) -> Self {
        Self {
            state: Mutex::default(),
            heartbeat_age_max,
        }
    }

    /// Whether a symbol is listed; before all instruments were read, any may be.
    pub fn may_be_listed(&self, symbol: Symbol) -> bool {
        let state = self.lock();
        !state.instruments_complete || state.instruments.contains_key(&symbol)
    }

    /// Sends a channel to a connection from now on: what there is first, then what changes.
    pub fn subscribe(&self, channel: PublicChannel, symbol: Symbol, mode: Mode, outbox: &Outbox) {
        let mut state = self.lock();
        let status = self.status(&state, symbol).filter(|_| channel == PublicChannel::Status);
        let audience = state.audiences.entry(symbol).or_default();
        // What the others wait for happened before this connection's snapshot.
        audience.close_window(symbol);
        if let Some(status) = &status {
            // It may be news to them: from here on all listeners know the same.
            audience.tell_status(status);
        }
        audience.add(channel, mode, outbox);
        let now = match channel {
            PublicChannel::Quote => self.quote(&state, symbol).map(|quote| Outgoing {
                occurred_us: None,
                ..quote
            }),
            PublicChannel::Book => snapshot(&state, symbol),
            PublicChannel::Trades | PublicChannel::Candles(_) => None,
            PublicChannel::Status => status.as_ref().map(status_message),
        };
        if let Some(now) = now {
            outbox.send(Push::Market(now));
        }
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, channel: PublicChannel, symbol: Symbol, connection: ConnectionId) {
        let mut state = self.lock();
        if let Some(audience) = state.audiences.get_mut(&symbol) {
            audience.remove(channel, connection);
            if audience.is_empty() {
                state.audiences.remove(&symbol);
            }
        }
    }

    /// Sends the whole book of a symbol to a connection, when it is known; else it comes once it is.
    pub fn send_snapshot(&self, symbol: Symbol, outbox: &Outbox) {
        let mut state = self.lock();
        if let Some(audience) = state.audiences.get_mut(&symbol) {
            audience.close_window(symbol);
        }
        if let Some(snapshot) = snapshot(&state, symbol) {
            outbox.send(Push::Market(snapshot));
        }
    }

    /// Sends what the throttled listeners wait for; to be called about once a second.
    pub fn flush_throttled(&self) {
        let mut state = self.lock();
        let mut audiences = std::mem::take(&mut state.audiences);
        for (symbol, audience) in &mut audiences {
            audience.close_window(*symbol);
            audience.flush_candles(*symbol);
            if std::mem::take(&mut audience.quote_changed)
                && let Some(quote) = self.quote(&state, *symbol)
            {
                audience.quote.throttled.send(|| quote);
            }
        }
        state.audiences = audiences;
    }

    /// Looks whether sources have fallen silent, or are back, and tells; to be called about once a second.
    pub fn check_feeds(&self) {
        let mut state = self.lock();
        let listened: Vec<_> = state
            .audiences
            .iter()
            .filter_map(|(symbol, audience)| audience.hears_status().then_some(*symbol))
            .collect();
        for symbol in listened {
            self.status_may_have_changed(&mut state, symbol);
        }
    }

    /// Takes an instrument, unless a newer version is known.
    pub(super) fn learn(&self, instrument: Instrument) {
        let mut state = self.lock();
        let known = state
            .instruments
            .get(&instrument.symbol)
            .map_or(0, |known| known.version);
        if instrument.version >= known {
            let symbol = instrument.symbol;
            state.instruments.insert(symbol, instrument);
            self.status_may_have_changed(&mut state, symbol);
        }
    }

    /// All instruments that there are were read.
    pub(super) fn instruments_complete(&self) {
        self.lock().instruments_complete = true;
    }

    /// Reading of the books begins, or begins anew: each waits for its next snapshot.
    pub(super) fn restart(&self, partitions: usize) {
        let mut state = self.lock();
        state.heartbeats = vec![None; partitions];
        state.books.values_mut().for_each(Book::distrust);
    }

    pub(super) fn heartbeat(&self, heartbeat: Heartbeat, partition: usize) {
        if let Some(last) = self.lock().heartbeats.get_mut(partition) {
            *last = Some(heartbeat.second);
        }
    }

    /// Takes a snapshot; listeners hear of it only when the book was not known.
    pub(super) fn book_snapshot(&self, taken: &BookSnapshot) {
        let mut state = self.lock();
        let book = state.books.entry(taken.symbol).or_default();
        let was_known = book.is_valid() && taken.sequence <= book.sequence();
        let (top_before, standing_before) = (top(book), standing(book));
        book.snapshot(taken);
        let (top_changed, standing_changed) = (top(book) != top_before, standing(book) != standing_before);
        if !was_known {
            let State { books, audiences, .. } = &mut *state;
            if let (Some(book), Some(audience)) = (books.get(&taken.symbol), audiences.get_mut(&taken.symbol)) {
                let body = MarketBody::snapshot(taken.symbol, book);
                audience.book_replaced(&Outgoing::past(ChannelKind::Book, &body));
            }
        }
        if top_changed {
            self.quote_changed(&mut state, taken.symbol);
        }
        if standing_changed {
            self.status_may_have_changed(&mut state, taken.symbol);
        }
    }

    /// Takes the levels that a command changed.
    pub(super) fn book_update(&self, update: &BookUpdate) -> Applied {
        self.advance(
            update.symbol,
            |book| book.update(update),
            |audience| {
                audience.book_changed(update.symbol, update.sequence, update.occurred_us, &update.changes);
            },
        )
    }

    /// Takes a change of status, which has its place in the sequence of the book.
    pub(super) fn status_change(&self, change: &InstrumentStatusChange) -> Applied {
        self.advance(
            change.symbol,
            |book| book.status_change(change),
            |audience| {
                audience.book_changed(change.symbol, change.sequence, change.occurred_us, &[]);
            },
        )
    }

    fn advance(
        &self,
        symbol: Symbol,
        apply: impl FnOnce(&mut Book) -> Applied,
        tell: impl FnOnce(&mut Audience),
    ) -> Applied {
        let mut state = self.lock();
        let State { books, audiences, .. } = &mut *state;
        let book = books.entry(symbol).or_default();
        let (top_before, standing_before) = (top(book), standing(book));
        let applied = apply(book);
        let (top_changed, standing_changed) = (top(book) != top_before, standing(book) != standing_before);
        if let Some(audience) = audiences.get_mut(&symbol) {
            match applied {
                Applied::Yes => tell(audience),
                // What was not sent yet is part of the snapshot that comes.
                Applied::Gap => audience.drop_window(),
                Applied::Old => {}
            }
        }
        if top_changed {
            self.quote_changed(&mut state, symbol);
        }
        if standing_changed {
            self.status_may_have_changed(&mut state, symbol);
        }
        applied
    }

    /// Takes candles that closed or grew.
    pub(super) fn candle_update(&self, update: &CandleUpdate) {
        let mut state = self.lock();
        let State {
            candles_us, audiences, ..
        } = &mut *state;
        let last_us = candles_us.entry(update.symbol).or_insert(update.occurred_us);
        // When reading begins anew, what was told comes again.
        if update.occurred_us < *last_us {
            return;
        }
        *last_us = update.occurred_us;
        if let Some(audience) = audiences.get_mut(&update.symbol) {
            audience.candles_changed(update);
        }
    }

    /// Tells of a trade.
    pub(super) fn trade(&self, trade: &Trade) {
        let state = self.lock();
        let Some(audience) = state.audiences.get(&trade.symbol) else {
            return;
        };
        let message = || Outgoing::live(ChannelKind::Trades, &MarketBody::from(trade), trade.executed_us);
        audience.trades.normal.send(message);
        audience.trades.throttled.send(message);
    }

    fn quote_changed(&self, state: &mut State, symbol: Symbol) {
        let Some(audience) = state.audiences.get_mut(&symbol) else {
            return;
        };
        audience.quote_changed = true;
        if audience.quote.normal.is_empty() {
            return;
        }
        if let Some(quote) = self.quote(state, symbol)
            && let Some(audience) = state.audiences.get(&symbol)
        {
            audience.quote.normal.send(|| quote);
        }
    }

    fn status_may_have_changed(&self, state: &mut State, symbol: Symbol) {
        if !state.audiences.get(&symbol).is_some_and(Audience::hears_status) {
            return;
        }
        if let Some(status) = self.status(state, symbol)
            && let Some(audience) = state.audiences.get_mut(&symbol)
        {
            audience.tell_status(&status);
        }
    }

    /// The status of an instrument, also while its book is not known yet.
    fn status(&self, state: &State, symbol: Symbol) -> Option<StatusBody> {
        let instrument = state.instruments.get(&symbol)?;
        let live = self.is_live(state, symbol);
        Some(match state.books.get(&symbol) {
            Some(book) => StatusBody::new(instrument, book, live),
            None => StatusBody::new(instrument, &Book::default(), live),
        })
    }

    fn quote(&self, state: &State, symbol: Symbol) -> Option<Outgoing> {
        let (instrument, book) = (state.instruments.get(&symbol)?, state.books.get(&symbol)?);
        let live = self.is_live(state, symbol);
        let body = MarketBody::Quote(QuoteBody::new(instrument, book, live));
        Some(Outgoing::live(ChannelKind::Quote, &body, book.updated_us()))
    }

    fn is_live(&self, state: &State, symbol: Symbol) -> bool {
        if state.heartbeats.is_empty() {
            return false;
        }
        let partition = partition_of(&symbol_key(symbol), state.heartbeats.len() as i32) as usize;
        let age_us = |second: i64| now_us() - second * 1_000_000;
        state.heartbeats[partition].is_some_and(|second| age_us(second) <= self.heartbeat_age_max.as_micros() as i64)
    }

    /// A thread that panicked while it held the lock left a book that the next snapshot mends.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn snapshot(state: &State, symbol: Symbol) -> Option<Outgoing> {
    let book = state.books.get(&symbol).filter(|book| book.is_valid())?;
    Some(Outgoing::past(ChannelKind::Book, &MarketBody::snapshot(symbol, book)))
}
