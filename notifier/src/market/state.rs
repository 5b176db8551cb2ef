//! The market and its listeners under one lock, so that whoever subscribes gets a book and then exactly
//! the changes that come after it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokerx_market::{Applied, Book, Keeper, View};
use brokerx_schemas::{CandleUpdate, Instrument, InstrumentStatus, MarketData, Symbol, Trade};

use super::audience::{Audience, status_message};
use super::body::MarketBody;
use crate::connection::{ConnectionId, Outbox, Outgoing, Push};
use crate::protocol::{Mode, PublicChannel};
use crate::telemetry::ChannelKind;

/// The market and its listeners.
#[derive(Debug)]
pub struct Market {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    view: View,
    audiences: HashMap<Symbol, Audience>,
    /// When the last candles of each symbol were made.
    candles_us: HashMap<Symbol, i64>,
    books: WholeBooks,
}

/// Whole books as they were last sent, with the number of each: however many ask, the text is made once.
#[derive(Debug, Default)]
struct WholeBooks(HashMap<Symbol, (i64, Outgoing)>);

impl WholeBooks {
    /// The book of a symbol; none while it is not known.
    fn get(&mut self, view: &View, symbol: Symbol) -> Option<Outgoing> {
        let book = view.book(symbol).filter(|book| book.is_valid())?;
        let number = book.sequence();
        let make = || Outgoing::past(ChannelKind::Book, &MarketBody::snapshot(symbol, book));
        let (made_at, whole) = self.0.entry(symbol).or_insert_with(|| (number, make()));
        if *made_at != number {
            (*made_at, *whole) = (number, make());
        }
        Some(whole.clone())
    }

    /// Forgets a book whose number may not say any more what is in it.
    fn forget(&mut self, symbol: Symbol) {
        self.0.remove(&symbol);
    }
}

/// The part of a book that a quote shows.
type Top = (Option<i64>, Option<i64>, Option<i64>, Option<InstrumentStatus>);

/// The parts of a book that are compared before and after a record, to see what must be sent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shown {
    top: Top,
    /// The part of it that a status shows.
    standing: (Option<InstrumentStatus>, bool),
    sequence: i64,
}

impl Shown {
    fn of(book: Option<&Book>) -> Self {
        book.map_or_else(Self::default, |book| {
            let (bid, ask) = book.best();
            Self {
                top: (bid, ask, book.last_cents(), book.status()),
                standing: (book.status(), book.is_valid()),
                sequence: book.sequence(),
            }
        })
    }

    /// Whether listeners know the book at this number or a later one.
    fn is_known_at(&self, sequence: i64) -> bool {
        let (_, is_valid) = self.standing;
        is_valid && sequence <= self.sequence
    }
}

impl Market {
    /// A market about which nothing is known yet; a partition is live for `heartbeat_age_max` after a
    /// heartbeat.
    pub fn new(heartbeat_age_max: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                view: View::new(heartbeat_age_max),
                audiences: HashMap::new(),
                candles_us: HashMap::new(),
                books: WholeBooks::default(),
            }),
        }
    }

    /// Whether a symbol is listed; before all instruments were read, any may be.
    pub fn may_be_listed(&self, symbol: Symbol) -> bool {
        self.lock().view.may_be_listed(symbol)
    }

    /// Subscribes a connection to a channel: it gets the current state first, then what changes.
    pub fn subscribe(&self, channel: PublicChannel, symbol: Symbol, mode: Mode, outbox: &Outbox) {
        let mut state = self.lock();
        let State {
            view, audiences, books, ..
        } = &mut *state;
        let status = view.status_body(symbol).filter(|_| channel == PublicChannel::Status);
        let audience = audiences.entry(symbol).or_default();
        // Changes that throttled listeners still wait for are sent first: they are older than the snapshot that
        // this connection gets.
        audience.close_window(symbol);
        if let Some(status) = &status {
            // The others may not know it yet. From here on all listeners know the same status.
            audience.tell_status(status);
        }
        audience.add(channel, mode, outbox);
        let now = match channel {
            PublicChannel::Quote => quote(view, symbol).map(|quote| Outgoing {
                occurred_us: None,
                ..quote
            }),
            PublicChannel::Book => books.get(view, symbol),
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

    /// Sends the whole book of a symbol to a connection. When it is not known, it is sent once it is.
    pub fn send_snapshot(&self, symbol: Symbol, outbox: &Outbox) {
        let mut state = self.lock();
        let State {
            view, audiences, books, ..
        } = &mut *state;
        if let Some(audience) = audiences.get_mut(&symbol) {
            audience.close_window(symbol);
        }
        if let Some(whole) = books.get(view, symbol) {
            outbox.send(Push::Market(whole));
        }
    }

    /// Sends what the throttled listeners wait for; to be called about once a second.
    pub fn flush_throttled(&self) {
        let mut state = self.lock();
        let State {
            view, audiences, books, ..
        } = &mut *state;
        books.0.retain(|symbol, _| audiences.contains_key(symbol));
        for (symbol, audience) in audiences {
            audience.close_window(*symbol);
            audience.flush_candles(*symbol);
            if std::mem::take(&mut audience.quote_changed)
                && let Some(quote) = quote(view, *symbol)
            {
                audience.quote.throttled.send(|| quote);
            }
        }
    }

    /// Tells listeners when a source has fallen silent or is back; to be called about once a second.
    pub fn check_feeds(&self) {
        let mut state = self.lock();
        let State { view, audiences, .. } = &mut *state;
        for (symbol, audience) in audiences {
            tell_status(view, *symbol, audience);
        }
    }

    /// Tells listeners about a trade.
    pub(super) fn trade(&self, trade: &Trade) {
        let state = self.lock();
        let Some(audience) = state.audiences.get(&trade.symbol) else {
            return;
        };
        let message = || Outgoing::live(ChannelKind::Trades, &MarketBody::from(trade), trade.executed_us);
        audience.trades.normal.send(message);
        audience.trades.throttled.send(message);
    }

    /// A poisoned lock is used all the same: what a panic left half done, the next snapshot of the book repairs.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper for Market {
    fn learn(&self, instrument: Instrument) {
        let mut state = self.lock();
        let State { view, audiences, .. } = &mut *state;
        let symbol = instrument.symbol;
        if view.learn(instrument)
            && let Some(audience) = audiences.get_mut(&symbol)
        {
            tell_status(view, symbol, audience);
        }
    }

    fn instruments_read(&self) {
        self.lock().view.instruments_read();
    }

    fn restart(&self, partitions: usize) {
        self.lock().view.restart(partitions);
    }

    fn take(&self, partition: usize, message: &MarketData) -> Option<Applied> {
        let mut state = self.lock();
        let symbol = match message {
            MarketData::BookSnapshot(snapshot) => {
                state.books.forget(snapshot.symbol);
                snapshot.symbol
            }
            MarketData::BookUpdate(update) => update.symbol,
            MarketData::InstrumentStatusChange(change) => change.symbol,
            MarketData::CandleUpdate(update) => {
                state.candles_changed(update);
                return None;
            }
            MarketData::Heartbeat(_) | MarketData::Unknown => return state.view.take(partition, message),
        };
        let before = Shown::of(state.view.book(symbol));
        let applied = state.view.take(partition, message);
        state.tell(symbol, message, applied, &before);
        applied
    }

    fn is_complete(&self) -> bool {
        self.lock().view.is_complete()
    }
}

impl State {
    /// Tells the listeners of a symbol what a message did to its book.
    fn tell(&mut self, symbol: Symbol, message: &MarketData, applied: Option<Applied>, before: &Shown) {
        let Some(audience) = self.audiences.get_mut(&symbol) else {
            return;
        };
        match (message, applied) {
            // A snapshot is passed on only when the book was not known before.
            (MarketData::BookSnapshot(taken), _) if !before.is_known_at(taken.sequence) => {
                if let Some(whole) = self.books.get(&self.view, symbol) {
                    audience.book_replaced(&whole);
                }
            }
            (MarketData::BookUpdate(update), Some(Applied::Yes)) => {
                audience.book_changed(symbol, update.sequence, update.occurred_us, &update.changes);
            }
            // A change of status has its place in the sequence of the book.
            (MarketData::InstrumentStatusChange(change), Some(Applied::Yes)) => {
                audience.book_changed(symbol, change.sequence, change.occurred_us, &[]);
            }
            // Changes that were not sent yet will be part of the next snapshot.
            (_, Some(Applied::Gap)) => audience.drop_window(),
            _ => {}
        }
        let now = Shown::of(self.view.book(symbol));
        if now.top != before.top {
            audience.quote_changed = true;
            audience.quote.normal.send_if_any(|| quote(&self.view, symbol));
        }
        if now.standing != before.standing {
            tell_status(&self.view, symbol, audience);
        }
    }

    /// Tells listeners about candles that closed or grew.
    fn candles_changed(&mut self, update: &CandleUpdate) {
        let last_us = self.candles_us.entry(update.symbol).or_insert(update.occurred_us);
        // When reading begins anew, candles that listeners have had come again.
        if update.occurred_us < *last_us {
            return;
        }
        *last_us = update.occurred_us;
        if let Some(audience) = self.audiences.get_mut(&update.symbol) {
            audience.candles_changed(update);
        }
    }
}

/// Tells its listeners the status of a symbol, unless they know it already.
fn tell_status(view: &View, symbol: Symbol, audience: &mut Audience) {
    if audience.hears_status()
        && let Some(status) = view.status_body(symbol)
    {
        audience.tell_status(&status);
    }
}

/// The quote of a symbol; none while nothing is known of its book.
fn quote(view: &View, symbol: Symbol) -> Option<Outgoing> {
    let updated_us = view.book(symbol)?.updated_us();
    let body = MarketBody::Quote(view.quote_body(symbol)?);
    Some(Outgoing::live(ChannelKind::Quote, &body, updated_us))
}
