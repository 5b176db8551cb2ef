//! The market as its listeners see it.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use brokerx_schemas::{BookSnapshot, BookUpdate, Instrument, InstrumentStatus, Level, LevelChange, Side, Symbol};
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
    market.learn(Instrument {
        symbol: symbol(),
        name: "Apple".to_owned(),
        tick_size_cents: 1,
        reference_price_cents: 10_000,
        band_bps: 500,
        status: InstrumentStatus::Open,
        version: 1,
        listed_us: 0,
        updated_us: 0,
    });
    market
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
    market.book_snapshot(&snapshot(5, 9_900));
    market.book_update(&update(6, 9_910, 3));
    let mut listener = Listener::new(&market, 1, PublicChannel::Book, Mode::Normal);
    market.book_update(&update(6, 9_910, 3));
    market.book_update(&update(7, 9_910, 0));
    let expected = [
        json!({"type": "book_snapshot", "symbol": "AAPL", "sequence": 6, "asks": [], "bids": [
            {"price": "99.10", "quantity": 3, "orders": 1}, {"price": "99.00", "quantity": 10, "orders": 1}]}),
        json!({"type": "book", "symbol": "AAPL", "sequence": 7, "prev_sequence": 6, "changes": [
            {"side": "bid", "price": "99.10", "quantity": 0, "orders": 1}]}),
    ];
    assert_eq!(listener.heard(), expected);
}

#[test]
fn after_a_gap_comes_a_snapshot_without_asking() {
    let market = market();
    market.book_snapshot(&snapshot(5, 9_900));
    let mut listener = Listener::new(&market, 1, PublicChannel::Book, Mode::Normal);
    market.book_update(&update(8, 9_910, 3));
    market.book_update(&update(9, 9_910, 4));
    market.book_snapshot(&snapshot(9, 9_910));
    market.book_snapshot(&snapshot(9, 9_910));
    market.book_update(&update(10, 9_920, 1));
    assert_eq!(listener.sequences(), [(-1, 5), (-1, 9), (9, 10)]);
}

#[test]
fn throttled_listeners_hear_conflated_changes() {
    let market = market();
    market.book_snapshot(&snapshot(5, 9_900));
    let mut first = Listener::new(&market, 1, PublicChannel::Book, Mode::Throttled);
    market.book_update(&update(6, 9_910, 3));
    market.book_update(&update(7, 9_910, 4));
    let mut second = Listener::new(&market, 2, PublicChannel::Book, Mode::Throttled);
    market.book_update(&update(8, 9_910, 5));
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
    market.book_snapshot(&snapshot(5, 9_900));
    market.book_update(&update(6, 9_800, 3));
    market.book_update(&update(7, 9_910, 3));
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
    market.book_update(&update(8, 9_920, 3));
    assert!(normal.heard().is_empty());
    let mut late = Listener::new(&market, 3, PublicChannel::Quote, Mode::Normal);
    assert_eq!(bids(late.heard()), ["99.20"]);
}
