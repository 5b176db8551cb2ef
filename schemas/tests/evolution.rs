//! What a reader sees of a newer or older writer, and how a schema may change.

#![allow(clippy::unwrap_used)]

mod support;

use apache_avro::Schema;
use apache_avro::types::Value;
use serde_json::{Value as Json, json};
use support::parts::Parts;
use support::{Example, Topic, datum, topic, topics};

const ADDED: &str = "ADDED_LATER";

/// The JSON of the Rust message that a datum of another writer's schema is read as.
fn read(topic: &Topic, writer: &Parts, json: &Json) -> Json {
    let schema = Schema::parse_str(&writer.text()).unwrap();
    let bytes = datum::bytes(&schema, &datum::from_json(&schema, json).unwrap());
    let message = topic.decode_as(&bytes, &writer.text().parse().unwrap());
    serde_json::to_value(message.unwrap_or_else(|error| panic!("{}: {error}", topic.name))).unwrap()
}

fn read_today(topic: &Topic, example: &Example) -> Json {
    serde_json::to_value(topic.decode(&example.bytes).unwrap()).unwrap()
}

#[test]
fn a_kind_of_the_future_is_unknown() {
    for topic in topics() {
        let mut writer = Parts::of(topic.json);
        writer.add_kind(ADDED);
        let mut newer = json!({});
        if !writer.has_a_record_per_kind() {
            newer = topic.examples()[0].json.clone();
        }
        newer["kind"] = json!(ADDED);
        newer[ADDED.to_lowercase()] = json!({ "text": "news" });
        assert_eq!(read(&topic, &writer, &newer)["kind"], "UNKNOWN", "{}", topic.name);
    }
}

#[test]
fn a_symbol_of_the_future_is_unknown() {
    for topic in topics() {
        let mut writer = Parts::of(topic.json);
        // Where the first field says which record is present, it must go on saying so.
        let first = usize::from(writer.has_a_record_per_kind());
        writer
            .names("enum")
            .iter()
            .for_each(|name| writer.add_symbol(name, ADDED));
        let schema = Schema::parse_str(&writer.text()).unwrap();
        let fast = writer.text().parse().unwrap();
        for example in topic.examples() {
            let Value::Record(mut fields) = datum::from_json(&schema, &example.json).unwrap() else {
                unreachable!()
            };
            for (_, field) in fields.iter_mut().skip(first) {
                datum::each_enum(field, &|index, symbol| (*index, *symbol) = (1, ADDED.to_owned()));
            }
            let newer = Value::Record(fields);
            let message = topic.decode_as(&datum::bytes(&schema, &newer), &fast).unwrap();
            let expected = datum::to_text(&newer).replace(ADDED, "UNKNOWN");
            assert_eq!(serde_json::to_string(&message).unwrap(), expected, "{}", example.id);
        }
    }
}

/// Fields of every type, first and last in every record.
#[test]
fn a_field_of_the_future_is_ignored() {
    let added = [
        json!({ "name": "added_text", "doc": "Text.", "type": ["null", "string"], "default": null }),
        json!({ "name": "added_number", "doc": "Number.", "type": "long", "default": -7 }),
        json!({ "name": "added_list", "doc": "List.", "type": { "type": "array", "items": "string" }, "default": ["a", "b"] }),
        json!({ "name": "added_flag", "doc": "Flag.", "type": "boolean", "default": true }),
    ];
    for topic in topics() {
        let mut writer = Parts::of(topic.json);
        for record in writer.names("record") {
            let fields = writer.fields(&record);
            fields.splice(0..0, added[..2].iter().cloned());
            fields.extend(added[2..].iter().cloned());
        }
        for example in topic.examples() {
            assert_eq!(
                read(&topic, &writer, &example.json),
                read_today(&topic, &example),
                "{}",
                example.id
            );
        }
    }
}

/// The writer here has none of the fields that have a default; serde fills them in as the schema says.
#[test]
fn a_field_that_an_older_writer_lacks_has_the_default_of_the_schema() {
    for topic in topics() {
        let mut writer = Parts::of(topic.json);
        let per_kind = writer.has_a_record_per_kind();
        for record in writer.names("record") {
            if !(per_kind && record == writer.root()) {
                writer.fields(&record).retain(|field| field.get("default").is_none());
            }
        }
        for mut example in topic.examples() {
            example.json = without_defaults(&writer, writer.root(), &example.json);
            let filled = datum::from_json(&topic.schema, &example.json).unwrap();
            example.bytes = datum::bytes(&topic.schema, &filled);
            assert_eq!(
                read(&topic, &writer, &example.json),
                read_today(&topic, &example),
                "{}",
                example.id
            );
        }
    }
}

/// The part of an example that a writer's schema has fields for.
fn without_defaults(writer: &Parts, kind: &str, json: &Json) -> Json {
    let Some(record) = writer.types.get(kind).filter(|body| body["type"] == "record") else {
        return json.clone();
    };
    let Json::Object(object) = json else {
        return json.clone();
    };
    let fields = record["fields"].as_array().unwrap().iter().filter_map(|field| {
        let name = field["name"].as_str().unwrap();
        let value = object.get(name)?;
        let inner = match &field["type"] {
            Json::Array(variants) => &variants[1],
            Json::Object(array) => &array["items"],
            other => other,
        };
        let inner = inner.as_str().unwrap();
        let value = match value {
            Json::Array(items) => items.iter().map(|item| without_defaults(writer, inner, item)).collect(),
            value => without_defaults(writer, inner, value),
        };
        Some((name.to_owned(), value))
    });
    Json::Object(fields.collect())
}

#[test]
fn a_kind_that_disagrees_with_the_record_present_is_an_error() {
    let trades = topic("trades");
    let trade = trades.examples()[0].json["trade"].clone();
    let read = |json: Json| {
        let bytes = datum::bytes(&trades.schema, &datum::from_json(&trades.schema, &json).unwrap());
        trades
            .decode(&bytes)
            .map(|message| serde_json::to_value(message).unwrap()["kind"].clone())
    };
    assert_eq!(read(json!({ "kind": "TRADE", "trade": trade })).unwrap(), "TRADE");
    assert_eq!(read(json!({ "kind": "UNKNOWN" })).unwrap(), "UNKNOWN");
    assert!(read(json!({ "kind": "TRADE" })).is_err());
    assert!(read(json!({ "kind": "UNKNOWN", "trade": trade })).is_err());
}

#[test]
fn a_datum_that_is_cut_off_is_an_error() {
    for topic in topics() {
        for example in topic.examples() {
            for length in 0..example.bytes.len() {
                assert!(
                    topic.decode(&example.bytes[..length]).is_err(),
                    "{} cut to {length}",
                    example.id
                );
            }
        }
    }
}

/// Whether today's schema and a changed one read each other, which is what `FULL_TRANSITIVE` asks.
fn compatible(topic: &Topic, change: impl FnOnce(&mut Parts)) -> bool {
    let mut changed = Parts::of(topic.json);
    change(&mut changed);
    let changed = Schema::parse_str(&changed.text()).unwrap();
    support::read_each_other(&topic.schema, &changed)
}

#[test]
fn a_schema_may_gain_kinds_symbols_and_fields_with_a_default() {
    for topic in topics() {
        assert!(compatible(&topic, |_| {}), "{}: itself", topic.name);
        assert!(
            compatible(&topic, |parts| parts.add_kind(ADDED)),
            "{}: a kind",
            topic.name
        );
        let symbols = |parts: &mut Parts| {
            parts
                .names("enum")
                .iter()
                .for_each(|name| parts.add_symbol(name, ADDED))
        };
        assert!(compatible(&topic, symbols), "{}: a symbol", topic.name);
    }
    let field = |default: Option<Json>| {
        move |parts: &mut Parts| {
            let mut field = json!({ "name": "added", "doc": "Added.", "type": "long" });
            if let Some(default) = default {
                field["default"] = default;
            }
            parts.fields("Trade").push(field);
        }
    };
    assert!(
        compatible(&topic("trades"), field(Some(json!(0)))),
        "a field with a default"
    );
    assert!(!compatible(&topic("trades"), field(None)), "a field without a default");
}

#[test]
fn a_schema_may_not_lose_retype_or_rename_a_field() {
    let trades = topic("trades");
    let removed = |parts: &mut Parts| parts.fields("Trade").retain(|field| field["name"] != "quantity");
    assert!(!compatible(&trades, removed), "a required field removed");
    let retyped = |parts: &mut Parts| parts.field("Trade", "quantity")["type"] = json!("string");
    assert!(!compatible(&trades, retyped), "a type changed");
    let narrowed = |parts: &mut Parts| parts.field("Trade", "quantity")["type"] = json!("int");
    assert!(!compatible(&trades, narrowed), "a type narrowed");
    let renamed = |parts: &mut Parts| parts.field("Trade", "quantity")["name"] = json!("size");
    assert!(!compatible(&trades, renamed), "a field renamed");
}
