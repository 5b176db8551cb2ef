//! Every example, through the schema and through the Rust types.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use support::{datum, topics};

#[test]
fn every_kind_has_an_example_and_every_example_a_kind() {
    for topic in topics() {
        let kinds: BTreeSet<String> = topic.kinds().into_iter().collect();
        let shown: BTreeSet<String> = topic.examples().iter().map(support::Example::kind).collect();
        assert_eq!(kinds, shown, "{}", topic.name);
        for example in topic.examples() {
            assert_eq!(example.json["kind"], example.kind(), "{}", example.id);
        }
    }
}

/// The example as the reference library writes it is what the Rust type reads, and the Rust type
/// writes the same bytes.
#[test]
fn examples_are_the_same_through_the_schema_and_the_rust_types() {
    for topic in topics() {
        for example in topic.examples() {
            let message = topic
                .decode(&example.bytes)
                .unwrap_or_else(|error| panic!("{}: {error}", example.id));
            let bytes = topic.encode(&message);
            assert_eq!(bytes, example.bytes, "{}", example.id);
            assert_eq!(topic.decode(&bytes).unwrap(), message, "{}", example.id);
        }
    }
}

/// Names, order and values of all fields agree, so that encoding stays on the path that needs no
/// reordering.
#[test]
fn rust_fields_are_in_the_order_of_the_schema() {
    for topic in topics() {
        for example in topic.examples() {
            let message = topic.decode(&example.bytes).unwrap();
            let text = serde_json::to_string(&message).unwrap();
            assert_eq!(text, datum::to_text(&example.value), "{}", example.id);
        }
    }
}
