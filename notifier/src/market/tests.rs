//! The market as its listeners see it.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use brokerx_market::Keeper;
use brokerx_schemas::{
    BookSnapshot, BookUpdate, Candle, CandleInterval, CandleUpdate, Heartbeat, Instrument, InstrumentStatus,
    InstrumentStatusChange, Level, LevelChange, MarketData, Side, Symbol,
};
use brokerx_topics::service::clock::now_unix_seconds;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use super::Market;
use crate::connection::{Outbox, Push};
use crate::protocol::{Mode, PublicChannel};

fn symbol() -> Symbol {
    Symbol::new("AAPL").unwrap()
}

fn market() -> Market {
    let market = Market::new(Duration::from_secs(3));
    market.learn(instrument(InstrumentStatus::Open, 1));
    market
}

fn instrument(status: InstrumentStatus, version: i32) -> Instrument {
    Instrument {
        symbol: symbol(),
        name: "Apple".to_owned(),
        tick_size_cents: 1,
        reference_price_cents: 10_000,
        band_bps: 500,
        status,
        version,
        listed_us: 0,
        updated_us: 0,
    }
}

fn snapshot(sequence: i64, bid: i64) -> BookSnapshot {
    BookSnapshot {
        symbol: symbol(),
        sequence,
        bids: vec![Level {
            price_cents: bid,
            quantity: 10,
            order_count: 1,
        }],
        asks: vec![],
        complete: true,
        last_price_cents: None,
        reference_price_cents: 10_000,
        status: InstrumentStatus::Open,
        occurred_us: 1,
    }
}

fn update(sequence: i64, price_cents: i64, quantity: i64) -> BookUpdate {
    BookUpdate {
        symbol: symbol(),
        sequence,
        changes: vec![LevelChange {
            side: Side::Buy,
            price_cents,
            quantity,
            order_count: 1,
        }],
        last_price_cents: None,
        occurred_us: 2,
    }
}

/// Feeds the market a record of its only partition.
fn take(market: &Market, message: MarketData) {
    market.take(0, &message);
}

struct Listener(Receiver<Push>);

impl Listener {
    fn new(market: &Market, id: u64, channel: PublicChannel, mode: Mode) -> Self {
        let (outbox, queue, _) = Outbox::new(id, 100);
        market.subscribe(channel, symbol(), mode, &outbox);
        Self(queue)
    }

    fn heard(&mut self) -> Vec<Value> {
        let mut heard = Vec::new();
        while let Ok(Push::Market(message)) = self.0.try_recv() {
            heard.push(serde_json::from_str(&message.text).unwrap());
        }
        heard
    }

    fn sequences(&mut self) -> Vec<(i64, i64)> {
        let number = |value: &Value| value.as_i64().unwrap_or(-1);
        self.heard()
            .iter()
            .map(|message| (number(&message["prev_sequence"]), number(&message["sequence"])))
            .collect()
    }
}

#[test]
fn a_late_joiner_gets_the_book_and_then_each_change() {
    let market = market();
    take(&market, MarketData::BookSnapshot(snapshot(5, 9_900)));
    take(&market, MarketData::BookUpdate(update(6, 9_910, 3)));
    let mut listener = Listener::new(&market, 1, PublicChannel::Book, Mode::Normal);
    take(&market, MarketData::BookUpdate(update(6, 9_910, 3)));
    take(&market, MarketData::BookUpdate(update(7, 9_910, 0)));
    let expected = [
        json!({"type": "book_snapshot", "symbol": "AAPL", "sequence": 6, "asks": [], "bids": [
            {"price": "99.10", "quantity": 3, "order_count": 1}, {"price": "99.00", "quantity": 10, "order_count": 1}]}),
        json!({"type": "book", "symbol": "AAPL", "sequence": 7, "prev_sequence": 6, "changes": [
            {"side": "bid", "price": "99.10", "quantity": 0, "order_count": 1}]}),
    ];
    assert_eq!(listener.heard(), expected);
}

#[test]
fn after_a_gap_comes_a_snapshot_without_asking() {
    let market = market();
    take(&market, MarketData::BookSnapshot(snapshot(5, 9_900)));
    let mut listener = Listener::new(&market, 1, PublicChannel::Book, Mode::Normal);
    take(&market, MarketData::BookUpdate(update(8, 9_910, 3)));
    take(&market, MarketData::BookUpdate(update(9, 9_910, 4)));
    take(&market, MarketData::BookSnapshot(snapshot(9, 9_910)));
    take(&market, MarketData::BookSnapshot(snapshot(9, 9_910)));
    take(&market, MarketData::BookUpdate(update(10, 9_920, 1)));
    assert_eq!(listener.sequences(), [(-1, 5), (-1, 9), (9, 10)]);
}

#[test]
fn throttled_listeners_get_conflated_changes() {
    let market = market();
    take(&market, MarketData::BookSnapshot(snapshot(5, 9_900)));
    let mut first = Listener::new(&market, 1, PublicChannel::Book, Mode::Throttled);
    take(&market, MarketData::BookUpdate(update(6, 9_910, 3)));
    take(&market, MarketData::BookUpdate(update(7, 9_910, 4)));
    let mut second = Listener::new(&market, 2, PublicChannel::Book, Mode::Throttled);
    take(&market, MarketData::BookUpdate(update(8, 9_910, 5)));
    market.flush_throttled();
    market.flush_throttled();
    assert_eq!(first.sequences(), [(-1, 5), (5, 7), (7, 8)]);
    assert_eq!(second.sequences(), [(-1, 7), (7, 8)], "each chain is without a gap");
}

#[test]
fn quotes_are_pushed_when_they_change_and_conflated_when_throttled() {
    let market = market();
    let mut normal = Listener::new(&market, 1, PublicChannel::Quote, Mode::Normal);
    let mut throttled = Listener::new(&market, 2, PublicChannel::Quote, Mode::Throttled);
    take(&market, MarketData::BookSnapshot(snapshot(5, 9_900)));
    take(&market, MarketData::BookUpdate(update(6, 9_800, 3)));
    take(&market, MarketData::BookUpdate(update(7, 9_910, 3)));
    market.flush_throttled();
    market.flush_throttled();
    let bids = |heard: Vec<Value>| {
        heard
            .iter()
            .map(|quote| quote["bid"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(bids(normal.heard()), ["99.00", "99.10"]);
    assert_eq!(bids(throttled.heard()), ["99.10"]);
    market.unsubscribe(PublicChannel::Quote, symbol(), 1);
    take(&market, MarketData::BookUpdate(update(8, 9_920, 3)));
    assert!(normal.heard().is_empty());
    let mut late = Listener::new(&market, 3, PublicChannel::Quote, Mode::Normal);
    assert_eq!(bids(late.heard()), ["99.20"]);
}

#[test]
fn a_crossed_book_is_shown_and_has_no_quote() {
    let market = market();
    take(&market, MarketData::BookSnapshot(snapshot(5, 9_900)));
    let mut listener = Listener::new(&market, 1, PublicChannel::Quote, Mode::Normal);
    let mut crossing = update(6, 9_900, 4);
    crossing.changes[0].side = Side::Sell;
    take(&market, MarketData::BookUpdate(crossing.clone()));
    crossing.sequence = 7;
    crossing.changes[0].quantity = 0;
    take(&market, MarketData::BookUpdate(crossing.clone()));
    let quotes: Vec<_> = listener
        .heard()
        .iter()
        .map(|quote| json!([quote["sequence"], quote["bid"], quote["ask"], quote["mid"]]))
        .collect();
    let expected = [
        json!([5, "99.00", null, null]),
        json!([6, null, null, null]),
        json!([7, "99.00", null, null]),
    ];
    assert_eq!(quotes, expected);
}

fn candles(second: i64, candles: &[(CandleInterval, i64, bool)]) -> CandleUpdate {
    let candle = |(interval, start, closed): &(CandleInterval, i64, bool)| Candle {
        interval: *interval,
        start_us: start * 1_000_000,
        open_cents: 9_900,
        high_cents: 9_910,
        low_cents: 9_890,
        close_cents: 9_900 + second,
        volume: 7,
        trade_count: 2,
        closed: *closed,
    };
    CandleUpdate {
        symbol: symbol(),
        candles: candles.iter().map(candle).collect(),
        occurred_us: second * 1_000_000,
    }
}

#[test]
fn candles_are_pushed_to_the_listeners_of_their_interval() {
    use CandleInterval::{Minute, Second};
    let market = market();
    let minutes = PublicChannel::Candles(Minute);
    let mut normal = Listener::new(&market, 1, minutes, Mode::Normal);
    let mut throttled = Listener::new(&market, 2, minutes, Mode::Throttled);
    take(
        &market,
        MarketData::CandleUpdate(candles(58, &[(Second, 57, true), (Minute, 0, false)])),
    );
    take(
        &market,
        MarketData::CandleUpdate(candles(60, &[(Second, 59, true), (Minute, 0, true)])),
    );
    take(
        &market,
        MarketData::CandleUpdate(candles(62, &[(Second, 61, true), (Minute, 60, false)])),
    );
    // Reading began anew, so old candles come again.
    take(
        &market,
        MarketData::CandleUpdate(candles(58, &[(Second, 57, true), (Minute, 0, false)])),
    );
    market.flush_throttled();
    market.flush_throttled();
    let heard = normal.heard();
    assert_eq!(
        heard[0],
        json!({
            "type": "candle", "symbol": "AAPL", "interval": "1m", "start": "1970-01-01T00:00:00.000000Z",
            "open": "99.00", "high": "99.10", "low": "98.90", "close": "99.58", "volume": 7, "trade_count": 2,
            "closed": false
        })
    );
    let closes = |heard: Vec<Value>| {
        heard
            .iter()
            .map(|candle| candle["close"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(closes(heard), ["99.58", "99.60", "99.62"]);
    assert_eq!(
        closes(throttled.heard()),
        ["99.60", "99.62"],
        "the newest state of each"
    );
    market.unsubscribe(minutes, symbol(), 1);
    take(&market, MarketData::CandleUpdate(candles(63, &[(Minute, 60, false)])));
    assert!(normal.heard().is_empty());
}

fn status(status: &str, feed: &str) -> Value {
    json!({"type": "status", "symbol": "AAPL", "status": status, "feed": feed})
}

fn beat(market: &Market, second: i64) {
    let heartbeat = Heartbeat {
        partition: 0,
        second,
        instruments: 1,
    };
    take(market, MarketData::Heartbeat(heartbeat));
}

#[test]
fn a_status_comes_at_once_and_with_each_change() {
    let market = market();
    market.restart(1);
    let mut first = Listener::new(&market, 1, PublicChannel::Status, Mode::Normal);
    assert_eq!(
        first.heard(),
        [status("open", "degraded")],
        "no book and no sign of life"
    );
    beat(&market, now_unix_seconds());
    take(&market, MarketData::BookSnapshot(snapshot(5, 9_900)));
    take(&market, MarketData::BookUpdate(update(6, 9_910, 3)));
    let halt = InstrumentStatusChange {
        symbol: symbol(),
        sequence: 7,
        status: InstrumentStatus::Halted,
        note: None,
        occurred_us: 3,
    };
    take(&market, MarketData::InstrumentStatusChange(halt));
    let mut second = Listener::new(&market, 2, PublicChannel::Status, Mode::Throttled);
    market.check_feeds();
    take(&market, MarketData::BookUpdate(update(9, 9_910, 3)));
    market.learn(instrument(InstrumentStatus::Delisted, 2));
    // Nothing more comes about a delisted instrument, so its feed is complete.
    let end = [status("halted", "degraded"), status("delisted", "ok")];
    assert_eq!(
        first.heard(),
        [&[status("open", "ok"), status("halted", "ok")][..], &end].concat()
    );
    assert_eq!(second.heard(), [&[status("halted", "ok")][..], &end].concat());
}

#[test]
fn listeners_are_told_when_a_source_falls_silent() {
    let market = market();
    market.restart(1);
    take(&market, MarketData::BookSnapshot(snapshot(5, 9_900)));
    beat(&market, now_unix_seconds() - 60);
    let mut listener = Listener::new(&market, 1, PublicChannel::Status, Mode::Normal);
    market.check_feeds();
    beat(&market, now_unix_seconds());
    market.check_feeds();
    beat(&market, now_unix_seconds() - 60);
    // A listener that subscribes before the silence was noticed is told of it, and so, once, are the others.
    let mut late = Listener::new(&market, 2, PublicChannel::Status, Mode::Normal);
    market.check_feeds();
    let (ok, degraded) = (status("open", "ok"), status("open", "degraded"));
    assert_eq!(listener.heard(), [degraded.clone(), ok, degraded.clone()]);
    assert_eq!(late.heard(), [degraded]);
}
