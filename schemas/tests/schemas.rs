//! The rules that every schema keeps, and that schemas and Rust enums know the same symbols.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use brokerx_schemas::*;
use serde_json::{Value as Json, json};
use support::parts::Parts;
use support::{symbols, topics};

/// `check(topic, type name, definition)` for every named type of every topic.
fn each_type(check: impl Fn(&str, &str, &Json)) {
    for topic in topics() {
        for (name, body) in &Parts::of(topic.json).types {
            check(topic.name, name, body);
        }
    }
}

/// `check(place, field)` for every field of every topic.
fn each_field(check: impl Fn(&str, &Json)) {
    each_type(|topic, name, body| {
        for field in body["fields"].as_array().into_iter().flatten() {
            check(&format!("{topic}: {name}.{}", field["name"]), field);
        }
    });
}

#[test]
fn everything_is_documented() {
    let documented = |part: &Json| {
        part["doc"]
            .as_str()
            .is_some_and(|doc| doc.ends_with('.') && doc.len() > 3)
    };
    each_type(|topic, name, body| assert!(documented(body), "{topic}: {name} has no doc"));
    each_field(|place, field| assert!(documented(field), "{place} has no doc"));
}

#[test]
fn money_and_time_name_their_unit() {
    each_field(|place, field| {
        let (name, doc) = (field["name"].as_str().unwrap(), field["doc"].as_str().unwrap());
        if name.contains("_cents") {
            assert!(doc.contains("US cents"), "{place}");
        }
        if name.ends_with("_us") {
            assert!(doc.contains("Microseconds since the epoch, UTC"), "{place}");
        }
        if name.ends_with("_bps") {
            assert!(doc.contains("basis points"), "{place}");
        }
    });
}

#[test]
fn every_enum_can_grow() {
    each_type(|topic, name, body| {
        if body["type"] == "enum" {
            assert_eq!(body["default"], "UNKNOWN", "{topic}: {name}");
            assert_eq!(body["symbols"][0], "UNKNOWN", "{topic}: {name}");
        }
    });
}

#[test]
fn a_union_is_null_or_one_type_and_null_by_default() {
    each_field(|place, field| {
        if let Some(variants) = field["type"].as_array() {
            assert_eq!(variants.len(), 2, "{place}");
            assert_eq!(variants[0], "null", "{place}");
            assert_eq!(field.get("default"), Some(&json!(null)), "{place}");
        }
    });
}

#[test]
fn a_type_is_the_same_in_every_topic() {
    let mut seen: BTreeMap<String, (&str, Json)> = BTreeMap::new();
    for topic in topics() {
        for (name, mut body) in Parts::of(topic.json).types {
            let before = seen.entry(name.clone()).or_insert_with(|| (topic.name, body.clone()));
            assert_eq!(
                before.1,
                body.take(),
                "{name} differs between {} and {}",
                before.0,
                topic.name
            );
        }
    }
}

/// The symbols of an enum in Rust, with `UNKNOWN` first as in the schema.
macro_rules! rust_enums {
    ($($name:ident),+ $(,)?) => {
        BTreeMap::from([$((stringify!($name), {
            let mut symbols = symbols::of::<$name>();
            let unknown = symbols.pop().unwrap();
            symbols.insert(0, unknown);
            symbols
        })),+])
    };
}

#[test]
fn schemas_and_rust_enums_know_the_same_symbols() {
    let rust = rust_enums![
        AccountCommandKind,
        AccountEventKind,
        AccountState,
        AckEventKind,
        AckMode,
        AuthEventKind,
        BookCommandKind,
        BookStatus,
        CandleInterval,
        DeadLetterKind,
        DepositEventKind,
        InstrumentEventKind,
        InstrumentStatus,
        LedgerAccount,
        LedgerEventKind,
        Liquidity,
        LoginOutcome,
        MarketDataKind,
        OrderEventKind,
        OrderStatus,
        OrderType,
        PassageKind,
        PaymentDirection,
        PaymentStatus,
        Reason,
        ReplyKind,
        SelfTradePrevention,
        Side,
        TimeInForce,
        TradeEventKind,
        TransferDirection,
    ];
    let mut seen = BTreeSet::new();
    for topic in topics() {
        let parts = Parts::of(topic.json);
        for name in parts.names("enum") {
            let expected = rust
                .get(name.as_str())
                .unwrap_or_else(|| panic!("{name} is not in the list of this test"));
            assert_eq!(json!(expected), parts.types[&name]["symbols"], "{}: {name}", topic.name);
            seen.insert(name);
        }
    }
    assert_eq!(
        seen.len(),
        rust.len(),
        "the list of this test names an enum that no schema has"
    );
}
