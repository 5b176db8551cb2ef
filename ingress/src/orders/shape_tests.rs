#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

const RANGE: PriceRange = PriceRange {
    min: 100,
    max: 1_000_000,
};

fn order() -> Value {
    json!({
        "symbol": "AAPL", "direction": "buy", "order_type": "limit", "quantity": 10, "price": "185.50",
        "time_in_force": "DAY", "client_order_id": "a-1"
    })
}

/// The order with some fields changed; a null leaves a field out.
fn changed(changes: Value) -> Value {
    let mut order = order();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            order.as_object_mut().unwrap().remove(name);
        } else {
            order[name] = value.clone();
        }
    }
    order
}

fn check(order: &Value) -> Result<OrderShape, Vec<String>> {
    // Through text, because a `Value` does not keep a number as it was written.
    let input: OrderInput = serde_json::from_str(&order.to_string()).unwrap();
    let codes = |errors: Vec<FieldError>| {
        errors
            .into_iter()
            .map(|error| format!("{} {}", error.field, error.code))
            .collect()
    };
    input.check(RANGE, |symbol| symbol.as_str() == "AAPL").map_err(codes)
}

#[test]
fn good_orders_pass() {
    let shape = check(&order()).unwrap();
    assert_eq!(
        (shape.quantity, shape.price_cents, shape.side),
        (10, Some(18_550), Side::Buy)
    );
    for changes in [
        json!({"direction": "sell", "time_in_force": "GTC", "post_only": true}),
        json!({"order_type": "market", "price": null, "time_in_force": "IOC"}),
        json!({"order_type": "stop", "price": null, "stop_price": 190}),
        json!({"order_type": "stop_limit", "stop_price": "190.00"}),
        json!({"quantity": "10", "price": 185.5}),
        json!({"price": "1.00"}),
        json!({"price": "10000.00"}),
        json!({"self_trade_prevention": "cancel_both"}),
        json!({"display_quantity": 3}),
    ] {
        assert!(check(&changed(changes.clone())).is_ok(), "{changes}");
    }
}

#[test]
fn each_fault_has_its_code() {
    for (changes, expected) in [
        (json!({"direction": "BUY"}), "order.direction INVALID_REQUEST"),
        (json!({"direction": null}), "order.direction INVALID_REQUEST"),
        (json!({"time_in_force": "day"}), "order.time_in_force INVALID_REQUEST"),
        (json!({"time_in_force": null}), "order.time_in_force INVALID_REQUEST"),
        (
            json!({"client_order_id": null}),
            "order.client_order_id INVALID_REQUEST",
        ),
        (
            json!({"client_order_id": "a b"}),
            "order.client_order_id INVALID_REQUEST",
        ),
        (
            json!({"client_order_id": "a".repeat(65)}),
            "order.client_order_id INVALID_REQUEST",
        ),
        (
            json!({"self_trade_prevention": "none"}),
            "order.self_trade_prevention INVALID_REQUEST",
        ),
        (json!({"quantity": 0}), "order.quantity INVALID_QUANTITY"),
        (json!({"quantity": -1}), "order.quantity INVALID_QUANTITY"),
        (json!({"quantity": 1.5}), "order.quantity INVALID_QUANTITY"),
        (json!({"quantity": null}), "order.quantity INVALID_QUANTITY"),
        (json!({"quantity": true}), "order.quantity INVALID_QUANTITY"),
        (
            json!({"quantity": "99999999999999999999"}),
            "order.quantity INVALID_QUANTITY",
        ),
        (json!({"price": null}), "order.price INVALID_PRICE"),
        (json!({"price": "185.505"}), "order.price INVALID_PRICE"),
        (json!({"price": "0.99"}), "order.price INVALID_PRICE"),
        (json!({"price": "10000.01"}), "order.price INVALID_PRICE"),
        (json!({"price": -5}), "order.price INVALID_PRICE"),
        (json!({"price": []}), "order.price INVALID_PRICE"),
        (json!({"stop_price": 5}), "order.stop_price INVALID_PRICE"),
        (json!({"order_type": "market"}), "order.price INVALID_PRICE"),
        (
            json!({"order_type": "stop", "price": null}),
            "order.stop_price INVALID_PRICE",
        ),
        (
            json!({"display_quantity": 0}),
            "order.display_quantity INVALID_QUANTITY",
        ),
        (
            json!({"display_quantity": 11}),
            "order.display_quantity INVALID_QUANTITY",
        ),
        (json!({"symbol": "NOPE"}), "order.symbol UNKNOWN_SYMBOL"),
        (json!({"symbol": "aapl"}), "order.symbol UNKNOWN_SYMBOL"),
        (json!({"symbol": null}), "order.symbol UNKNOWN_SYMBOL"),
    ] {
        assert_eq!(check(&changed(changes.clone())).unwrap_err(), [expected], "{changes}");
    }
}

#[test]
fn faults_come_in_the_order_of_precedence() {
    let changes = json!({"symbol": "NOPE", "price": "0", "quantity": 0, "direction": "up"});
    assert_eq!(
        check(&changed(changes)).unwrap_err(),
        [
            "order.direction INVALID_REQUEST",
            "order.quantity INVALID_QUANTITY",
            "order.price INVALID_PRICE",
            "order.symbol UNKNOWN_SYMBOL",
        ]
    );
}

#[test]
fn unknown_fields_are_refused() {
    let order = changed(json!({"leverage": 2}));
    assert!(serde_json::from_str::<OrderInput>(&order.to_string()).is_err());
}

#[test]
fn a_replace_must_change_something() {
    let check = |text: &str| serde_json::from_str::<ReplaceInput>(text).unwrap().check(RANGE);
    let shape = check(r#"{"price": 190.1, "quantity": "5", "client_version": 2}"#).unwrap();
    assert_eq!(
        (shape.price_cents, shape.quantity, shape.client_version),
        (Some(19_010), Some(5), 2)
    );
    for (text, code) in [
        (r#"{"client_version": 1}"#, "INVALID_REQUEST"),
        (r#"{"price": "190.00"}"#, "INVALID_REQUEST"),
        (r#"{"quantity": 0, "client_version": 1}"#, "INVALID_QUANTITY"),
        (r#"{"price": "0.50", "client_version": 1}"#, "INVALID_PRICE"),
        (r#"{"time_in_force": "NOW", "client_version": 1}"#, "INVALID_REQUEST"),
    ] {
        assert_eq!(check(text).unwrap_err()[0].code, code, "{text}");
    }
}
