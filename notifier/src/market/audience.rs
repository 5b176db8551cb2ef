//! Who listens to one symbol, and what they have not been sent yet.

use std::collections::BTreeMap;

use brokerx_json::StatusBody;
use brokerx_schemas::{CandleInterval, CandleUpdate, LevelChange, Symbol};

use super::body::MarketBody;
use super::candles::Growing;
use super::window::Window;
use crate::connection::{ConnectionId, Outbox, Outgoing, Push};
use crate::protocol::{Mode, PublicChannel};
use crate::telemetry::ChannelKind;

/// The listeners of one channel.
#[derive(Debug, Default)]
pub(super) struct Listeners(BTreeMap<ConnectionId, Outbox>);

impl Listeners {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends a message. It is made once, and only when somebody listens.
    pub(super) fn send(&self, message: impl FnOnce() -> Outgoing) {
        self.send_if_any(|| Some(message()));
    }

    /// Like [`Listeners::send`], for a message that may turn out to be none.
    pub(super) fn send_if_any(&self, message: impl FnOnce() -> Option<Outgoing>) {
        if self.is_empty() {
            return;
        }
        let Some(message) = message() else { return };
        for outbox in self.0.values() {
            outbox.send(Push::Market(message.clone()));
        }
    }
}

/// A status as it is pushed.
pub(super) fn status_message(status: &StatusBody) -> Outgoing {
    Outgoing::past(ChannelKind::Status, &MarketBody::Status(status.clone()))
}

/// The listeners of a channel in both modes.
#[derive(Debug, Default)]
pub(super) struct Modes {
    pub(super) normal: Listeners,
    pub(super) throttled: Listeners,
}

impl Modes {
    fn is_empty(&self) -> bool {
        self.normal.is_empty() && self.throttled.is_empty()
    }
}

/// The listeners of a symbol.
#[derive(Debug, Default)]
pub(super) struct Audience {
    pub(super) quote: Modes,
    pub(super) book: Modes,
    pub(super) trades: Modes,
    status: Modes,
    candles: BTreeMap<CandleInterval, Modes>,
    /// Whether the quote changed since it was last sent to the throttled listeners.
    pub(super) quote_changed: bool,
    /// What changed in the book since it was last sent to the throttled listeners, while there are any.
    window: Option<Window>,
    /// The candles that came since the throttled listeners last got any, of the intervals that they listen to.
    growing: Growing,
    /// The status that the listeners were last told.
    status_told: Option<StatusBody>,
}

impl Audience {
    fn modes(&mut self, channel: PublicChannel) -> &mut Modes {
        match channel {
            PublicChannel::Quote => &mut self.quote,
            PublicChannel::Book => &mut self.book,
            PublicChannel::Trades => &mut self.trades,
            PublicChannel::Candles(interval) => self.candles.entry(interval).or_default(),
            PublicChannel::Status => &mut self.status,
        }
    }

    /// Adds a listener. One that listens in the other mode already is moved to this one.
    pub(super) fn add(&mut self, channel: PublicChannel, mode: Mode, outbox: &Outbox) {
        self.remove(channel, outbox.id());
        let modes = self.modes(channel);
        let listeners = if mode == Mode::Normal {
            &mut modes.normal
        } else {
            &mut modes.throttled
        };
        listeners.0.insert(outbox.id(), outbox.clone());
    }

    pub(super) fn remove(&mut self, channel: PublicChannel, connection: ConnectionId) {
        let modes = self.modes(channel);
        modes.normal.0.remove(&connection);
        modes.throttled.0.remove(&connection);
        self.candles.retain(|_, modes| !modes.is_empty());
    }

    pub(super) fn is_empty(&self) -> bool {
        let modes = [&self.quote, &self.book, &self.trades, &self.status];
        modes.into_iter().chain(self.candles.values()).all(Modes::is_empty)
    }

    /// Tells listeners about candles that closed or grew.
    pub(super) fn candles_changed(&mut self, update: &CandleUpdate) {
        for candle in &update.candles {
            let Some(modes) = self.candles.get(&candle.interval) else {
                continue;
            };
            modes.normal.send(|| {
                let body = MarketBody::candle(update.symbol, candle);
                Outgoing::live(ChannelKind::Candles, &body, update.occurred_us)
            });
            if !modes.throttled.is_empty() {
                self.growing.add(candle, update.occurred_us);
            }
        }
    }

    /// Sends what the throttled listeners of the candles wait for.
    pub(super) fn flush_candles(&mut self, symbol: Symbol) {
        for (candle, occurred_us) in self.growing.take() {
            if let Some(modes) = self.candles.get(&candle.interval) {
                modes
                    .throttled
                    .send(|| Outgoing::live(ChannelKind::Candles, &MarketBody::candle(symbol, &candle), occurred_us));
            }
        }
    }

    /// Whether somebody listens to the status.
    pub(super) fn hears_status(&self) -> bool {
        !self.status.is_empty()
    }

    /// Tells its listeners the status, unless they know it already.
    pub(super) fn tell_status(&mut self, status: &StatusBody) {
        if self.status_told.as_ref() == Some(status) {
            return;
        }
        self.status.normal.send(|| status_message(status));
        self.status.throttled.send(|| status_message(status));
        self.status_told = Some(status.clone());
    }

    /// Tells listeners about a change of the book.
    pub(super) fn book_changed(&mut self, symbol: Symbol, sequence: i64, occurred_us: i64, changes: &[LevelChange]) {
        self.book.normal.send(|| {
            let body = MarketBody::changes(symbol, sequence - 1, sequence, changes);
            Outgoing::live(ChannelKind::Book, &body, occurred_us)
        });
        if !self.book.throttled.is_empty() {
            self.window
                .get_or_insert_with(|| Window::new(sequence - 1))
                .add(sequence, occurred_us, changes);
        }
    }

    /// Sends a whole book to everybody.
    pub(super) fn book_replaced(&mut self, snapshot: &Outgoing) {
        self.window = None;
        self.book.normal.send(|| snapshot.clone());
        self.book.throttled.send(|| snapshot.clone());
    }

    /// Sends what the throttled listeners of the book wait for.
    pub(super) fn close_window(&mut self, symbol: Symbol) {
        if let Some(window) = self.window.take() {
            self.book.throttled.send(|| {
                let body = MarketBody::changes(symbol, window.prev_sequence, window.sequence, window.changes());
                Outgoing::live(ChannelKind::Book, &body, window.occurred_us)
            });
        }
    }

    /// Forgets the changes that throttled listeners wait for: a snapshot will replace them.
    pub(super) fn drop_window(&mut self) {
        self.window = None;
    }
}
