//! The AsyncAPI document names every topic, points at files that exist, and says what the topic
//! catalogue says.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use brokerx_schemas::SCHEMAS;
use serde_json::Value as Json;
use support::folder;

fn yaml(file: &Path) -> Json {
    serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Every `$ref` below a value.
fn references(value: &Json) -> Vec<&str> {
    match value {
        Json::Object(object) => object
            .iter()
            .flat_map(|(key, value)| match value.as_str() {
                Some(target) if key == "$ref" => vec![target],
                _ => references(value),
            })
            .collect(),
        Json::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_reference_has_a_target() {
    let document = yaml(&folder("asyncapi/kafka.yaml"));
    for target in references(&document) {
        let found = match target.strip_prefix('#') {
            Some(pointer) => document.pointer(pointer).is_some(),
            None => folder("asyncapi").join(target).is_file(),
        };
        assert!(found, "{target}");
    }
}

#[test]
fn channels_are_the_topics_of_the_catalogue() {
    let document = yaml(&folder("asyncapi/kafka.yaml"));
    let channels: Vec<&Json> = document["channels"].as_object().unwrap().values().collect();
    assert_eq!(channels.len(), SCHEMAS.len());
    for (topic, _) in SCHEMAS {
        let channel = channels
            .iter()
            .find(|channel| channel["address"] == *topic)
            .unwrap_or_else(|| panic!("{topic}"));
        let catalogue = yaml(&folder("../topics/catalogue").join(format!("{topic}.yaml")));
        assert_eq!(channel["description"], catalogue["description"], "{topic}");
        assert_eq!(channel["x-kind"], catalogue["kind"], "{topic}");
        assert_eq!(channel["x-ordering"], catalogue["ordering"], "{topic}");
        assert_eq!(channel["x-deduplication"], catalogue["deduplication"], "{topic}");
        assert_eq!(channel["x-partitions"], catalogue["partitions"], "{topic}");
        // The binding of Kafka knows numbers only.
        let number = Some(&catalogue["partitions"]).filter(|count| count.is_number());
        assert_eq!(channel.pointer("/bindings/kafka/partitions"), number, "{topic}");
        let message = references(&channel["messages"])[0];
        let message = document.pointer(message.strip_prefix('#').unwrap()).unwrap();
        assert_eq!(message["payload"]["schema"]["$ref"], format!("../avro/{topic}.avsc"));
    }
}
