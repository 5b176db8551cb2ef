//! Commands as lines for `brokerx match`.

use std::fmt::Write;

use brokerx_schemas::*;
use serde_json::{Map, Value, json};

/// A script; its first line says how to run it.
pub fn of(config: &Config, listing: &ListInstrument, commands: &[BookCommand]) -> String {
    let tick_cents = listing.tick_size_cents;
    let mut script = format!(
        "# brokerx match --band {} --reference {}",
        listing.band_bps,
        listing.reference_price_cents / tick_cents
    );
    for (option, collects) in [
        ("halted", config.collect_while_halted),
        ("closed", config.collect_while_closed),
    ] {
        if collects {
            write!(script, " --while-{option} collected").unwrap();
        }
    }
    for command in commands {
        let mut line = line(command, tick_cents);
        line.retain(|_, value| !value.is_null());
        write!(script, "\n{}", Value::Object(line)).unwrap();
    }
    script
}

fn line(command: &BookCommand, tick_cents: i64) -> Map<String, Value> {
    let ticks = |cents: Option<i64>| cents.map(|cents| cents / tick_cents);
    let line = match command {
        BookCommand::NewOrder(order) => json!({
            "op": "new", "id": order.order_id.0, "account": order.account_id.0,
            "side": word(&order.side).to_lowercase(), "type": word(&order.order_type).to_lowercase(),
            "price": ticks(order.price_cents), "stop_price": ticks(order.stop_price_cents),
            "collar": ticks(order.collar_price_cents), "quantity": order.quantity,
            "display_quantity": order.display_quantity, "time_in_force": word(&order.time_in_force),
            "post_only": order.post_only, "self_trade": word(&order.self_trade_prevention).to_lowercase(),
        }),
        BookCommand::ReplaceBookOrder(replace) => json!({
            "op": "replace", "id": replace.order_id.0, "account": replace.account_id.0,
            "price": ticks(replace.price_cents), "quantity": replace.quantity,
            "time_in_force": word(&replace.time_in_force),
        }),
        BookCommand::CancelBookOrder(cancel) => json!({
            "op": "cancel", "id": cancel.order_id.0, "account": cancel.account_id.0,
        }),
        BookCommand::HaltInstrument(_) => json!({"op": "halt"}),
        BookCommand::ResumeInstrument(_) => json!({"op": "resume"}),
        BookCommand::OpenSession(_) => json!({"op": "open"}),
        BookCommand::CloseSession(_) => json!({"op": "close"}),
        other => panic!("not in a script: {other:?}"),
    };
    line.as_object().unwrap().clone()
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}
