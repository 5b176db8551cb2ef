//! What the registry itself accepts as compatible.

use anyhow::ensure;
use brokerx_e2e::fixture::Fixture;
use brokerx_schemas::{Message, TradeEvent};
use serde_json::{Value, json};

/// Asks the registry to register a schema as the next version of `trades`; returns the HTTP status and the
/// answer.
async fn register(fixture: &Fixture, schema: &Value) -> anyhow::Result<(u16, String)> {
    let url = format!(
        "{}/subjects/trades-value/versions",
        fixture.platform.schema_registry_url
    );
    let answer = reqwest::Client::new()
        .post(url)
        .json(&json!({"schema": schema.to_string(), "schemaType": "AVRO"}))
        .send()
        .await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

pub async fn a_new_kind_is_accepted(fixture: &Fixture) -> anyhow::Result<()> {
    let mut schema: Value = serde_json::from_str(TradeEvent::SCHEMA)?;
    let fields = schema["fields"].as_array_mut().expect("a record has fields");
    let kind = fields.iter_mut().find(|field| field["name"] == "kind").expect("a kind");
    kind["type"]["symbols"]
        .as_array_mut()
        .expect("symbols")
        .push(json!("TRADE_BUST"));
    fields.push(json!({
        "name": "trade_bust", "default": null, "doc": "A trade is taken back.",
        "type": ["null", {"type": "record", "name": "TradeBust", "doc": "A trade is taken back.",
                          "fields": [{"name": "trade_id", "type": "long", "doc": "The trade."}]}]
    }));
    let (status, text) = register(fixture, &schema).await?;
    ensure!(status == 200, "{status}: {text}");
    Ok(())
}

pub async fn an_incompatible_change_is_refused(fixture: &Fixture) -> anyhow::Result<()> {
    let url = format!("{}/config/trades-value", fixture.platform.schema_registry_url);
    let config: Value = reqwest::get(url).await?.json().await?;
    ensure!(config["compatibilityLevel"] == "FULL_TRANSITIVE", "{config}");

    let original: Value = serde_json::from_str(TradeEvent::SCHEMA)?;
    let mut without_default = original.clone();
    without_default["fields"]
        .as_array_mut()
        .expect("fields")
        .push(json!({"name": "venue", "type": "string", "doc": "A field that old records do not have."}));
    let mut other_type = original.clone();
    find_field(&mut other_type, "price_cents").expect("a price")["type"] = json!("string");
    for (what, schema) in [
        ("a field without a default", without_default),
        ("another type", other_type),
    ] {
        ensure!(schema != original, "{what}: nothing was changed");
        let (status, text) = register(fixture, &schema).await?;
        ensure!(status == 409, "{what} was answered with {status}: {text}");
    }
    Ok(())
}

fn find_field<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(object) if object.get("name").is_some_and(|field| field == name) => Some(value),
        Value::Object(object) => object.values_mut().find_map(|value| find_field(value, name)),
        Value::Array(items) => items.iter_mut().find_map(|value| find_field(value, name)),
        _ => None,
    }
}
