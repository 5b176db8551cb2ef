//! `brokerx match`: what goes in and what comes out.
#![allow(clippy::unwrap_used, reason = "a test")]

use brokerx_matcher::cli::{Rules, run};
use proptest::prelude::*;
use serde_json::{Value, json};

fn answers(rules: Rules, show_book: bool, input: &[u8]) -> Vec<Value> {
    let mut output = Vec::new();
    run(rules, show_book, input, &mut output).unwrap();
    let text = String::from_utf8(output).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn check(rules: Rules, show_book: bool, exchange: &[(Value, Value)], book: Option<Value>) {
    let input: String = exchange.iter().map(|(line, _)| format!("{line}\n")).collect();
    let mut expected: Vec<Value> = exchange.iter().map(|(_, answer)| answer.clone()).collect();
    expected.extend(book);
    assert_eq!(answers(rules, show_book, input.as_bytes()), expected);
}

#[test]
fn orders_trade_and_the_book_is_shown() {
    let sell = |id: i64, price: i64, quantity: i64| json!({"op": "new", "id": id, "account": id, "side": "sell", "type": "limit", "price": price, "quantity": quantity});
    let rests = |id: i64, leaves: i64| json!({"id": id, "status": "working", "reason": null, "leaves": leaves, "trades": [], "cancelled": []});
    check(
        Rules::default(),
        true,
        &[
            (sell(1, 100, 6), rests(1, 6)),
            (sell(2, 100, 3), rests(2, 3)),
            (
                json!({"op": "new", "id": 3, "account": 9, "side": "buy", "type": "limit", "price": 101, "quantity": 8}),
                json!({"id": 3, "status": "filled", "reason": null, "leaves": 0, "trades": [
                    {"maker": 1, "price": 100, "quantity": 6}, {"maker": 2, "price": 100, "quantity": 2}], "cancelled": []}),
            ),
            (
                json!({"op": "new", "id": 4, "account": 9, "side": "buy", "type": "limit", "price": 100, "quantity": 5}),
                json!({"id": 4, "status": "partially_filled", "reason": null, "leaves": 4, "trades": [
                    {"maker": 2, "price": 100, "quantity": 1}], "cancelled": []}),
            ),
            (
                json!({"op": "replace", "id": 4, "account": 9, "price": 99, "quantity": 9}),
                json!({"id": 4, "status": "replaced", "reason": null, "leaves": 8, "trades": [], "cancelled": []}),
            ),
            (
                json!({"op": "cancel", "id": 5, "account": 9}),
                json!({"id": 5, "status": "rejected", "reason": "ORDER_CLOSED", "leaves": 0, "trades": [], "cancelled": []}),
            ),
            (
                json!({"op": "new", "id": 6, "account": 9, "side": "sell", "price": 99, "quantity": 1, "self_trade": "cancel_resting"}),
                json!({"id": 6, "status": "working", "reason": null, "leaves": 1, "trades": [],
                    "cancelled": [{"id": 4, "quantity": 8}]}),
            ),
            (
                json!({"op": "new", "id": 7, "account": 9, "side": "sell", "price": 99, "quantity": 9, "display_quantity": 2}),
                rests(7, 9),
            ),
        ],
        Some(json!({"bids": [], "asks": [{"price": 99, "orders": [
            {"id": 6, "quantity": 1}, {"id": 7, "quantity": 9, "visible": 2}]}]})),
    );
}

#[test]
fn stops_that_were_triggered_are_told() {
    check(
        Rules::default(),
        true,
        &[
            (
                json!({"op": "new", "id": 1, "account": 1, "side": "sell", "price": 100, "quantity": 3}),
                json!({"id": 1, "status": "working", "reason": null, "leaves": 3, "trades": [], "cancelled": []}),
            ),
            (
                json!({"op": "new", "id": 2, "account": 2, "side": "buy", "type": "stop_limit", "price": 101, "stop_price": 100, "quantity": 5}),
                json!({"id": 2, "status": "working", "reason": null, "leaves": 5, "trades": [], "cancelled": []}),
            ),
            (
                json!({"op": "new", "id": 3, "account": 3, "side": "buy", "type": "stop", "stop_price": 100, "quantity": 5}),
                json!({"id": 3, "status": "working", "reason": null, "leaves": 5, "trades": [], "cancelled": []}),
            ),
            (
                json!({"op": "new", "id": 4, "account": 4, "side": "buy", "type": "stop", "stop_price": 200, "quantity": 5}),
                json!({"id": 4, "status": "working", "reason": null, "leaves": 5, "trades": [], "cancelled": []}),
            ),
            (
                json!({"op": "new", "id": 5, "account": 5, "side": "buy", "type": "market", "quantity": 1}),
                json!({"id": 5, "status": "filled", "reason": null, "leaves": 0,
                    "trades": [{"maker": 1, "price": 100, "quantity": 1}], "cancelled": [], "triggered": [
                    {"id": 2, "price": 100, "status": "partially_filled", "reason": null, "leaves": 3,
                        "trades": [{"maker": 1, "price": 100, "quantity": 2}], "cancelled": []},
                    {"id": 3, "price": 100, "status": "cancelled", "reason": "NO_LIQUIDITY", "leaves": 5,
                        "trades": [], "cancelled": []}]}),
            ),
        ],
        Some(
            json!({"bids": [{"price": 101, "orders": [{"id": 2, "quantity": 3}]}], "asks": [],
            "stops": [{"id": 4, "side": "buy", "stop_price": 200, "quantity": 5}]}),
        ),
    );
}

/// `IOC` cannot wait, and a market order that says so neither.
#[test]
fn an_immediate_market_order_is_refused_while_halted() {
    let rules = Rules {
        collect_while_halted: true,
        ..Rules::default()
    };
    let rests =
        |id: i64| json!({"id": id, "status": "working", "reason": null, "leaves": 5, "trades": [], "cancelled": []});
    let market = |id: i64| json!({"op": "new", "id": id, "account": 2, "side": "buy", "type": "market", "quantity": 5, "collar": 105});
    let mut immediate = market(2);
    immediate["time_in_force"] = json!("IOC");
    check(
        rules,
        false,
        &[
            (
                json!({"op": "new", "id": 1, "account": 1, "side": "sell", "price": 100, "quantity": 5}),
                rests(1),
            ),
            (
                json!({"op": "halt"}),
                json!({"op": "halt", "status": "halted", "trades": [], "cancelled": []}),
            ),
            (
                immediate,
                json!({"id": 2, "status": "rejected", "reason": "HALTED", "leaves": 5, "trades": [], "cancelled": []}),
            ),
            (market(3), rests(3)),
            (
                json!({"op": "resume"}),
                json!({"op": "resume", "status": "open",
                    "trades": [{"maker": 1, "taker": 3, "price": 100, "quantity": 5}], "cancelled": []}),
            ),
        ],
        None,
    );
}

#[test]
fn a_replace_to_what_has_traded_fills_the_order() {
    let replace = |quantity: i64| json!({"op": "replace", "id": 1, "account": 1, "quantity": quantity});
    check(
        Rules::default(),
        true,
        &[
            (
                json!({"op": "new", "id": 1, "account": 1, "side": "sell", "price": 100, "quantity": 10}),
                json!({"id": 1, "status": "working", "reason": null, "leaves": 10, "trades": [], "cancelled": []}),
            ),
            (
                json!({"op": "new", "id": 2, "account": 2, "side": "buy", "price": 100, "quantity": 4}),
                json!({"id": 2, "status": "filled", "reason": null, "leaves": 0,
                    "trades": [{"maker": 1, "price": 100, "quantity": 4}], "cancelled": []}),
            ),
            (
                replace(3),
                json!({"id": 1, "status": "rejected", "reason": "QUANTITY_BELOW_FILLED", "leaves": 6,
                    "trades": [], "cancelled": []}),
            ),
            (
                replace(4),
                json!({"id": 1, "status": "filled", "reason": null, "leaves": 0, "trades": [], "cancelled": []}),
            ),
        ],
        Some(json!({"bids": [], "asks": []})),
    );
}

#[test]
fn a_reopening_is_an_auction() {
    let rules = Rules {
        collect_while_halted: true,
        ..Rules::default()
    };
    check(
        rules,
        true,
        &[
            (
                json!({"op": "halt"}),
                json!({"op": "halt", "status": "halted", "trades": [], "cancelled": []}),
            ),
            (
                json!({"op": "new", "id": 1, "account": 1, "side": "sell", "price": 100, "quantity": 3}),
                json!({"id": 1, "status": "working", "reason": null, "leaves": 3, "trades": [], "cancelled": []}),
            ),
            (
                json!({"op": "new", "id": 2, "account": 2, "side": "buy", "type": "market", "quantity": 5}),
                json!({"id": 2, "status": "working", "reason": null, "leaves": 5, "trades": [], "cancelled": []}),
            ),
            (
                json!({"op": "resume"}),
                json!({"op": "resume", "status": "open",
                    "trades": [{"maker": 1, "taker": 2, "price": 100, "quantity": 3}],
                    "cancelled": [{"id": 2, "quantity": 2}]}),
            ),
            (
                json!({"op": "close"}),
                json!({"op": "close", "status": "closed", "trades": [], "cancelled": []}),
            ),
            (
                json!({"op": "new", "id": 3, "account": 1, "side": "sell", "price": 100, "quantity": 3}),
                json!({"id": 3, "status": "rejected", "reason": "MARKET_CLOSED", "leaves": 3, "trades": [], "cancelled": []}),
            ),
            (
                json!({"op": "open"}),
                json!({"op": "open", "status": "open", "trades": [], "cancelled": []}),
            ),
        ],
        Some(json!({"bids": [], "asks": []})),
    );
}

#[test]
fn band_and_collar_are_options() {
    let new = |id: i64, side: &str, kind: &str, price: Value, quantity: i64| json!({"op": "new", "id": id, "account": id, "side": side, "type": kind, "price": price, "quantity": quantity});
    let reasons = |rules: Rules| -> Vec<Value> {
        let lines = [
            new(1, "sell", "limit", json!(1000), 1),
            new(2, "sell", "limit", json!(1060), 1),
            new(3, "buy", "limit", json!(1000), 1),
            new(4, "sell", "limit", json!(1060), 1),
            new(5, "buy", "market", json!(null), 2),
        ];
        let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let answers = answers(rules, false, input.as_bytes());
        answers.into_iter().map(|answer| answer["reason"].clone()).collect()
    };
    assert_eq!(reasons(Rules::default()), vec![Value::Null; 5]);
    let band = Rules {
        band_bps: 500,
        ..Rules::default()
    };
    // The band begins with the first trade.
    assert_eq!(
        reasons(band),
        [
            json!(null),
            json!(null),
            json!(null),
            json!("PRICE_BAND"),
            json!("NO_LIQUIDITY")
        ]
    );
    let referenced = Rules {
        reference: 1000,
        ..band
    };
    assert_eq!(reasons(referenced)[1], json!("PRICE_BAND"));
    let collar = Rules {
        collar_bps: Some(100),
        ..Rules::default()
    };
    assert_eq!(reasons(collar)[4], json!("NO_LIQUIDITY"));
}

#[test]
fn bad_lines_change_nothing() {
    let input = b"not json\n\n{\"op\":\"new\"}\n{\"op\":\"new\",\"id\":1,\"account\":1,\"side\":\"buy\",\"price\":100,\"quantity\":5,\"x\":1}\n\
        {\"op\":\"buy\"}\n\xff\xfe\n{\"op\":\"cancel\",\"id\":-1,\"account\":1}\n[1]\n{\"op\":\"new\",\"id\":1,\"account\":1,\"side\":\"buy\",\"price\":1.5,\"quantity\":5}";
    let answers = answers(Rules::default(), true, input);
    let lines: Vec<&Value> = answers.iter().map(|answer| &answer["line"]).collect();
    assert_eq!(
        lines,
        [
            &json!(1),
            &json!(3),
            &json!(4),
            &json!(5),
            &json!(6),
            &json!(7),
            &json!(8),
            &json!(9),
            &json!(null)
        ]
    );
    assert!(answers[..8].iter().all(|answer| answer["error"].is_string()));
    assert_eq!(answers[1]["error"], "missing field `id`");
    assert_eq!(answers[8], json!({"bids": [], "asks": []}));
}

#[test]
fn senseless_numbers_are_refused_with_a_reason() {
    for (what, reason) in [
        (json!({"price": 0, "quantity": 1}), "INVALID_PRICE"),
        (json!({"price": i64::MAX, "quantity": 1}), "INVALID_PRICE"),
        (json!({"price": 1, "quantity": 0}), "INVALID_QUANTITY"),
        (json!({"price": 1, "quantity": i64::MAX}), "INVALID_QUANTITY"),
        (json!({"quantity": 1}), "INVALID_PRICE"),
        (json!({"type": "market", "price": 1, "quantity": 1}), "INVALID_ORDER"),
        (json!({"type": "stop", "quantity": 1}), "INVALID_PRICE"),
        (
            json!({"type": "market", "quantity": 1, "collar": i64::MIN}),
            "INVALID_PRICE",
        ),
    ] {
        let mut line = json!({"op": "new", "id": 1, "account": 1, "side": "buy"});
        line.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        let answers = answers(Rules::default(), false, line.to_string().as_bytes());
        assert_eq!(
            (&answers[0]["status"], &answers[0]["reason"]),
            (&json!("rejected"), &json!(reason)),
            "{line}"
        );
    }
}

proptest! {
    /// Whatever comes in, each line that is not empty gets one answer.
    #[test]
    fn any_bytes_are_answered(input in proptest::collection::vec(any::<u8>(), 0..300)) {
        let lines = input.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        prop_assert_eq!(answers(Rules::default(), false, &input).len(), lines.count());
    }

    /// Any numbers in lines that are commands.
    #[test]
    fn any_numbers_are_answered(
        lines in proptest::collection::vec(
            (0..7_usize, 0..8_i64, 0..3_i64, any::<bool>(), 0..4_usize, number(), number(), number(), number(), 0..4_usize, 0..3_usize),
            1..60,
        ),
        collects in any::<bool>(),
        band_bps in 0..=10_000,
        collar_bps in proptest::option::of(0..=9_999),
    ) {
        let rules = Rules { band_bps, collar_bps, reference: 0, display_percent_min: 10, collect_while_halted: collects, collect_while_closed: collects };
        let mut input = String::new();
        for (op, id, account, buys, kind, price, stop_price, quantity, display_quantity, stay, self_trade) in &lines {
            let line = json!({
                "op": (["new", "new", "new", "replace", "cancel", "halt", "resume"][*op]),
                "id": id, "account": account, "side": if *buys { "buy" } else { "sell" },
                "type": (["limit", "market", "stop", "stop_limit"][*kind]),
                "price": price, "stop_price": stop_price, "quantity": quantity, "display_quantity": display_quantity,
                "time_in_force": (["GTC", "DAY", "IOC", "FOK"][*stay]),
                "self_trade": (["cancel_incoming", "cancel_resting", "cancel_both"][*self_trade]),
            });
            input.push_str(&format!("{line}\n"));
        }
        prop_assert_eq!(answers(rules, true, input.as_bytes()).len(), lines.len() + 1);
    }
}

/// Mostly small numbers, so that orders meet; sometimes none, sometimes the edge of what there is.
fn number() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        6 => (1..20_i64).prop_map(Some),
        3 => Just(None),
        1 => prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(0), Just(1_000_000_000), Just(1_000_000_000_000)].prop_map(Some),
    ]
}
