//! The machine around the books: where records go, market data, steps, snapshots, and the way through
//! encoded records.
#![allow(
    clippy::unwrap_used,
    clippy::inconsistent_digit_grouping,
    reason = "a test; cents stand behind dollars"
)]

mod common;

use brokerx_matcher::machine::{EVENTS_MAX, Matcher};
use brokerx_schemas::*;
use brokerx_topics::codec::Codec;
use brokerx_topics::machine::{Content, Fault, Fold, Record};
use brokerx_topics::partition::{account_key, partition_of, symbol_key};
use common::*;

#[test]
fn records_go_where_their_keys_say() {
    let mut desk = Desk::new();
    desk.feed(BookCommand::NewOrder(limit(1, 11, Side::Sell, 100_00, 5)));
    let emissions = desk.feed(BookCommand::NewOrder(limit(2, 22, Side::Buy, 100_00, 5)));
    for emission in &emissions {
        let key = match &emission.output.message {
            AnyMessage::AccountCommand(AccountCommand::Fill(fill)) => account_key(fill.account_id),
            AnyMessage::AccountCommand(AccountCommand::CommandDone(done)) => account_key(done.account_id),
            _ => symbol_key(symbol()),
        };
        assert_eq!(emission.output.key, key);
        assert_eq!(emission.output.partition, partition_of(&key, 8));
    }
    let AnyMessage::TradeEvent(TradeEvent::Trade(trade)) = &emissions[0].output.message else {
        panic!("the trade comes first");
    };
    assert_eq!(PackedId::unpack(trade.trade_id.0).counter, 1);
    assert_eq!(trade.sequence, 2, "the update that the trade is part of");
}

/// What takes an offset and is no record changes nothing but the place of the next one; without somebody who
/// has looked, a step in the offsets is a loss.
#[test]
fn offsets_without_a_record_are_passed_over_only_when_told() {
    let record = |offset| Record {
        offset,
        appended_ms: NOW_MS,
        identity: None,
        digest: 7,
        input: Content::Decoded(BookCommand::ListInstrument(listing())),
    };
    let mut straight = Desk::empty();
    straight.fold.apply(record(1), &mut Vec::new()).unwrap();
    let mut stepping = Desk::empty();
    let refused = stepping.fold.apply(record(3), &mut Vec::new()).unwrap_err();
    assert!(matches!(refused, Fault::OffsetGap { expected: 1, got: 3 }), "{refused}");
    stepping.fold.pass_over(3);
    stepping.fold.apply(record(3), &mut Vec::new()).unwrap();
    assert_eq!(stepping.fold.position(), 4);
    assert_eq!(stepping.fold.state_hash(), straight.fold.state_hash());
}

#[test]
fn every_symbol_appears_within_the_cycle() {
    let mut desk = Desk::empty();
    for index in 0..25 {
        let symbol = Symbol::new(&format!("S{index}")).unwrap();
        desk.feed(BookCommand::ListInstrument(ListInstrument { symbol, ..listing() }));
    }
    let mut seen = std::collections::BTreeSet::new();
    for second in 0..10 {
        if second == 5 {
            desk.restore();
        }
        let records = market_data(&desk.tick());
        let MarketData::Heartbeat(heartbeat) = &records[0] else {
            panic!("a heartbeat comes first")
        };
        assert_eq!((heartbeat.partition, heartbeat.instruments), (0, 25));
        for record in &records[1..] {
            let MarketData::BookSnapshot(snapshot) = record else {
                panic!("books follow")
            };
            seen.insert(snapshot.symbol);
        }
    }
    assert_eq!(seen.len(), 25);
    // One tick after an outage makes up for the turns that were missed.
    desk.now_ms += 60_000;
    assert_eq!(market_data(&desk.tick()).len(), 1 + 25);
}

#[test]
fn a_snapshot_of_the_book_is_cut_at_its_limit() {
    let mut desk = Desk {
        fold: Fold::new(0),
        ..Desk::empty()
    };
    desk.feed(genesis(Config {
        snapshot_levels_max: 2,
        ..Config::default()
    }));
    desk.feed(BookCommand::ListInstrument(listing()));
    for price_cents in [99_00, 98_00, 97_00] {
        desk.feed(BookCommand::NewOrder(limit(price_cents, 1, Side::Buy, price_cents, 5)));
    }
    desk.feed(BookCommand::NewOrder(limit(1, 1, Side::Sell, 101_00, 5)));
    let records = market_data(&desk.tick());
    let MarketData::BookSnapshot(snapshot) = &records[1] else {
        panic!("a book")
    };
    let bids: Vec<_> = snapshot.bids.iter().map(|level| level.price_cents).collect();
    assert_eq!(
        (bids, snapshot.asks.len(), snapshot.complete),
        (vec![99_00, 98_00], 1, false)
    );
    assert_eq!(snapshot.sequence, 4);
}

/// A sweep through more orders than a step takes goes on at the same offset.
#[test]
fn a_long_sweep_takes_several_steps() {
    let mut desk = Desk::new();
    let makers = EVENTS_MAX as i64 * 2 + 10;
    for maker in 0..makers {
        desk.feed(BookCommand::NewOrder(limit(
            maker,
            1,
            Side::Sell,
            100_00 + maker % 100,
            1,
        )));
    }
    let mut order = limit(1_000_000, 2, Side::Buy, 101_00, makers + 3);
    order.time_in_force = TimeInForce::Ioc;
    let emissions = desk.feed(BookCommand::NewOrder(order));
    let outcome = outcome(&emissions);
    assert_eq!(outcome.trades().len() as i64, makers);
    assert_eq!(
        outcome.done(),
        Some((BookStatus::Cancelled, Some(Reason::NoLiquidity), 3))
    );
    let sequences: Vec<_> = market_data(&emissions)
        .iter()
        .filter_map(|record| match record {
            MarketData::BookUpdate(update) => Some(update.sequence - makers),
            _ => None,
        })
        .collect();
    assert_eq!(sequences, [1, 2, 3], "one update a step, dense");
    assert_eq!(desk.matcher().book(symbol()).unwrap().order_count(), 0);
}

#[test]
fn a_long_delisting_takes_several_steps() {
    let mut desk = Desk::new();
    let orders = EVENTS_MAX as i64 * 2 + 1;
    for order in 0..orders {
        desk.feed(BookCommand::NewOrder(limit(order, 1, Side::Sell, 100_00, 1)));
    }
    let emissions = desk.feed(BookCommand::DelistInstrument(instrument_command()));
    let ids: Vec<_> = outcome(&emissions)
        .ended()
        .iter()
        .map(|(order_id, ..)| *order_id)
        .collect();
    assert_eq!(ids, (0..orders).collect::<Vec<_>>(), "first come, first ended");
    assert_eq!(reply(&emissions).instrument.unwrap().status, InstrumentStatus::Delisted);
    // Who waits for every instrument of a partition does not wait for this one.
    let records = market_data(&desk.tick());
    assert!(
        matches!(&records[..], [MarketData::Heartbeat(heartbeat)] if heartbeat.instruments == 0),
        "{records:?}"
    );
}

/// A cascade of more stops than a step takes goes on at the same offset.
#[test]
fn a_long_cascade_takes_several_steps() {
    let mut desk = Desk::new();
    let stops = 1_000;
    for stop in 0..stops {
        desk.feed(BookCommand::NewOrder(NewOrder {
            order_type: OrderType::Stop,
            price_cents: None,
            stop_price_cents: Some(100_00 + stop % 400),
            ..limit(10_000 + stop, 2, Side::Buy, 0, 1)
        }));
        desk.feed(BookCommand::NewOrder(limit(
            stop + 1,
            1,
            Side::Sell,
            100_00 + stop % 400,
            1,
        )));
    }
    desk.feed(BookCommand::NewOrder(limit(50_000, 1, Side::Sell, 104_00, 1)));
    let first = BookCommand::NewOrder(limit(60_000, 3, Side::Buy, 100_00, 1));
    let record = Record {
        offset: desk.fold.position(),
        appended_ms: desk.now_ms,
        identity: None,
        digest: 1,
        input: Content::Decoded(first),
    };
    let mut emissions = Vec::new();
    desk.fold.apply(record, &mut emissions).unwrap();
    let mut steps = 1;
    while !desk.fold.is_between_records() {
        let before = emissions.len();
        desk.fold.resume(&mut emissions);
        assert!(emissions.len() - before < 1_500);
        steps += 1;
    }
    assert!(steps > 5, "{steps} steps");
    let trades = outcome(&emissions).trades();
    assert_eq!(trades.len(), 1 + stops as usize);
    assert_eq!(desk.matcher().book(symbol()).unwrap().stop_count(), 0);
}

#[test]
fn stops_and_icebergs_survive_a_snapshot() {
    let mut desk = Desk::new();
    for order in 0..3_000 {
        desk.feed(BookCommand::NewOrder(NewOrder {
            order_type: OrderType::StopLimit,
            stop_price_cents: Some(100_00 + order % 300),
            ..limit(order, 2, Side::Buy, 100_00, 1 + order % 7)
        }));
        desk.feed(BookCommand::NewOrder(NewOrder {
            display_quantity: Some(2),
            ..limit(100_000 + order, 1, Side::Sell, 101_00 + order % 200, 9)
        }));
    }
    desk.restore();
    let book = desk.matcher().book(symbol()).unwrap();
    assert_eq!((book.stop_count(), book.order_count()), (3_000, 3_000));
    desk.matcher().check_book(symbol()).unwrap();
}

#[test]
fn a_large_book_survives_its_snapshot() {
    let mut desk = Desk::new();
    for order in 0..10_000 {
        let price_cents = 95_00 + order * 7 % 499;
        desk.feed(BookCommand::NewOrder(limit(
            order,
            order % 50,
            Side::Buy,
            price_cents,
            1 + order % 9,
        )));
        if order % 3 == 0 {
            desk.feed(BookCommand::CancelBookOrder(CancelBookOrder {
                command_id: CommandId([2; 16]),
                order_id: OrderId(order / 2),
                account_id: AccountId(order / 2 % 50),
                symbol: symbol(),
                deadline_us: NEVER_US,
            }));
        }
    }
    let mut sweep = limit(20_000, 99, Side::Sell, 95_00, 20_000);
    sweep.time_in_force = TimeInForce::Ioc;
    let before = desk.matcher().book(symbol()).unwrap().order_count();
    desk.restore();
    let book = desk.matcher().book(symbol()).unwrap();
    assert_eq!(book.order_count(), before);
    desk.matcher().check_book(symbol()).unwrap();
    let mut twin = Desk {
        fold: desk.fold,
        ..Desk::empty()
    };
    let restored = outcome(&twin.feed(BookCommand::NewOrder(sweep)));
    assert!(
        restored
            .trades()
            .is_sorted_by_key(|trade| std::cmp::Reverse(trade.price_cents))
    );
}

/// From genesis to trade through Avro: what the topics carry is what the machine means.
#[test]
fn encoded_records_fold_like_plain_ones() {
    let codec = Codec::detached();
    let commands = [
        genesis(Config::default()),
        BookCommand::ListInstrument(listing()),
        BookCommand::NewOrder(limit(1, 1, Side::Sell, 101_00, 5)),
        BookCommand::NewOrder(limit(2, 2, Side::Buy, 101_00, 3)),
        BookCommand::Tick(Tick { second: NOW_MS / 1_000 }),
        BookCommand::HaltInstrument(instrument_command()),
    ];
    let mut fold = Fold::<Matcher>::new(0);
    let mut plain = Fold::<Matcher>::new(0);
    let (mut emissions, mut plain_emissions) = (Vec::new(), Vec::new());
    for (offset, command) in (0..).zip(commands) {
        let mut bytes = Vec::new();
        codec.encode(&command, &mut bytes).unwrap();
        let record = |input| Record {
            offset,
            appended_ms: NOW_MS,
            identity: None,
            digest: 1,
            input: Content::Decoded(input),
        };
        fold.apply(record(codec.decode(&bytes).unwrap()), &mut emissions)
            .unwrap();
        plain.apply(record(command), &mut plain_emissions).unwrap();
    }
    assert_eq!(emissions, plain_emissions);
    assert_eq!(fold.state_hash(), plain.state_hash());
    let mut bytes = Vec::new();
    for emission in &emissions {
        codec.encode_any(&emission.output.message, &mut bytes).unwrap();
    }
    let trades = emissions
        .iter()
        .filter(|emission| matches!(emission.output.message, AnyMessage::TradeEvent(_)));
    assert_eq!(trades.count(), 1);
}
