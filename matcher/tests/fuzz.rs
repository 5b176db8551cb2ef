//! Decode and apply: no bytes make the machine panic, and it stays whole.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use brokerx_schemas::*;
use brokerx_topics::codec::Codec;
use brokerx_topics::machine::{Content, LOGIC_VERSION, Record};
use common::*;
use proptest::prelude::*;

/// Applies whatever can be decoded. A fault stops the partition, which is an answer too.
fn apply(desk: &mut Desk, codec: &Codec, bytes: &[u8], advance_ms: i64) -> bool {
    let Ok(command) = codec.decode::<BookCommand>(bytes) else {
        return false;
    };
    desk.now_ms += advance_ms;
    let record = Record {
        offset: desk.fold.position(),
        appended_ms: desk.now_ms,
        identity: desk.fold.next_identity(&command),
        digest: 1,
        input: Content::Decoded(command),
    };
    let mut emissions = Vec::new();
    if desk.fold.apply(record, &mut emissions).is_ok() {
        while !desk.fold.is_between_records() {
            desk.fold.resume(&mut emissions);
        }
        let mut encoded = Vec::new();
        for emission in &emissions {
            codec.encode_any(&emission.output.message, &mut encoded).unwrap();
        }
    }
    true
}

/// Numbers with which orders meet, and the edges of what 64 bits hold.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => 9_990..10_010_i64,
        3 => 0..12_i64,
        1 => any::<i64>(),
        1 => prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(-1), Just(1_000_000_000), Just(1_000_000_001)],
    ]
}

fn small() -> impl Strategy<Value = i64> {
    prop_oneof![9 => 1..30_i64, 1 => any::<i64>()]
}

fn order() -> impl Strategy<Value = BookCommand> {
    let kinds = (0..5_usize, 0..3_usize, 0..5_usize, 0..4_usize);
    let prices = (
        proptest::option::of(number()),
        proptest::option::of(number()),
        proptest::option::of(number()),
        proptest::option::of(small()),
    );
    (small(), 1..4_i64, small(), kinds, prices, any::<bool>()).prop_map(
        |(id, account, quantity, (kind, side, stay, prevention), (price, stop, collar, display), post_only)| {
            let mut order = limit(id, account, [Side::Buy, Side::Sell, Side::Unknown][side], 0, quantity);
            order.order_type = [
                OrderType::Limit,
                OrderType::Market,
                OrderType::Stop,
                OrderType::StopLimit,
                OrderType::Unknown,
            ][kind];
            // Mostly the fields that the type has.
            order.price_cents = price.filter(|_| kind == 0 || kind == 3);
            order.stop_price_cents = stop.filter(|_| kind == 2 || kind == 3);
            order.collar_price_cents = collar.filter(|_| kind == 1 || kind == 2);
            order.display_quantity = display.filter(|_| kind == 0);
            order.post_only = post_only && kind == 0;
            order.time_in_force = [
                TimeInForce::Gtc,
                TimeInForce::Day,
                TimeInForce::Ioc,
                TimeInForce::Fok,
                TimeInForce::Unknown,
            ][stay];
            order.self_trade_prevention = [
                SelfTradePrevention::CancelIncoming,
                SelfTradePrevention::CancelResting,
                SelfTradePrevention::CancelBoth,
                SelfTradePrevention::Unknown,
            ][prevention];
            BookCommand::NewOrder(order)
        },
    )
}

fn config() -> impl Strategy<Value = BookCommand> {
    let flags = (any::<bool>(), any::<bool>());
    let sessions = proptest::collection::vec((any::<i32>(), any::<i64>(), any::<i64>()), 0..4);
    (
        2..6_i32,
        number(),
        number(),
        any::<i32>(),
        any::<i32>(),
        flags,
        sessions,
    )
        .prop_map(|(version, min, max, cycle, levels, (closed, halted), sessions)| {
            let sessions = sessions.into_iter().map(|(day, opens_second, closes_second)| Session {
                day,
                opens_second,
                closes_second,
            });
            BookCommand::Config(ConfigChange {
                version,
                logic_version: LOGIC_VERSION,
                config: Config {
                    price_cents_min: min,
                    price_cents_max: max,
                    snapshot_cycle_seconds: cycle,
                    snapshot_levels_max: levels,
                    collect_while_closed: closed,
                    collect_while_halted: halted,
                    closed_key_seconds: i64::from(cycle) << 20,
                    sessions: sessions.collect(),
                    ..Config::default()
                },
            })
        })
}

fn list() -> impl Strategy<Value = BookCommand> {
    (0..3_usize, number(), number(), any::<i32>()).prop_map(|(name, tick, reference, band_bps)| {
        BookCommand::ListInstrument(ListInstrument {
            symbol: Symbol::new(["A", "B", "C"][name]).unwrap(),
            tick_size_cents: tick,
            reference_price_cents: reference,
            band_bps,
            ..listing()
        })
    })
}

fn command() -> impl Strategy<Value = BookCommand> {
    let cancel = (small(), 1..4_i64).prop_map(|(id, account)| {
        BookCommand::CancelBookOrder(CancelBookOrder {
            command_id: CommandId([1; 16]),
            order_id: OrderId(id),
            account_id: AccountId(account),
            symbol: symbol(),
            deadline_us: NEVER_US,
        })
    });
    let replace = (small(), 1..4_i64, proptest::option::of(number()), small()).prop_map(
        |(id, account, price_cents, quantity)| {
            BookCommand::ReplaceBookOrder(ReplaceBookOrder {
                command_id: CommandId([1; 16]),
                order_id: OrderId(id),
                account_id: AccountId(account),
                symbol: symbol(),
                price_cents,
                quantity,
                time_in_force: TimeInForce::Gtc,
                deadline_us: NEVER_US,
            })
        },
    );
    let operation = (0..5_usize).prop_map(|which| {
        let command = instrument_command();
        match which {
            0 => BookCommand::HaltInstrument(command),
            1 => BookCommand::CloseSession(command),
            2 => BookCommand::OpenSession(command),
            _ => BookCommand::ResumeInstrument(command),
        }
    });
    let tick = any::<i64>().prop_map(|second| BookCommand::Tick(Tick { second }));
    let now = Just(BookCommand::Tick(Tick { second: NOW_MS / 1_000 }));
    prop_oneof![
        12 => order(),
        3 => cancel,
        3 => replace,
        3 => operation,
        1 => config(),
        1 => list(),
        1 => tick,
        1 => now,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Records as anybody could write them.
    #[test]
    fn no_record_panics(
        commands in proptest::collection::vec((command(), 0..100_000_000_i64), 1..150),
        collects in any::<bool>(),
    ) {
        let codec = Codec::detached();
        let mut desk = Desk::with(Config {
            collect_while_closed: collects,
            collect_while_halted: collects,
            ..Config::default()
        });
        desk.feed(BookCommand::ListInstrument(listing()));
        let mut bytes = Vec::new();
        for (command, advance_ms) in &commands {
            bytes.clear();
            codec.encode(command, &mut bytes).unwrap();
            prop_assert!(apply(&mut desk, &codec, &bytes, *advance_ms));
            prop_assert_eq!(desk.matcher().check_book(symbol()), Ok(()));
        }
        desk.restore();
    }

    /// Good records with a few bytes changed.
    #[test]
    fn no_damaged_record_panics(
        commands in proptest::collection::vec((command(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..60),
    ) {
        let codec = Codec::detached();
        let mut desk = Desk::new();
        for (command, place, byte, cut) in &commands {
            let mut bytes = Vec::new();
            codec.encode(command, &mut bytes).unwrap();
            let at = place.index(bytes.len());
            if *cut {
                bytes.truncate(at);
            } else {
                bytes[at] = *byte;
            }
            apply(&mut desk, &codec, &bytes, 1_000);
        }
        desk.restore();
    }

    /// Random bytes.
    #[test]
    fn no_bytes_panic(records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20)) {
        let codec = Codec::detached();
        let mut desk = Desk::new();
        for bytes in &records {
            apply(&mut desk, &codec, bytes, 1);
        }
    }
}
