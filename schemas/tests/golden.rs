//! Bytes of every released version are still read, and mean the same.

#![allow(clippy::unwrap_used)]

mod support;

use apache_avro::Schema;
use support::parts::without_docs;
use support::{golden, read_each_other, topics};

/// Adds what is missing to the version that it names; never changes what is there.
const WRITE: &str = "BROKERX_GOLDEN_WRITE";

#[test]
fn golden_bytes_mean_what_their_example_says() {
    if let Ok(version) = std::env::var(WRITE) {
        let version = version
            .parse()
            .unwrap_or_else(|_| panic!("{WRITE} is the number of a version"));
        topics().iter().for_each(|topic| golden::write_missing(topic, version));
    }
    for topic in topics() {
        let versions = golden::of(&topic);
        for example in topic.examples() {
            let expected = topic.decode(&example.bytes).unwrap();
            let mut found = false;
            for golden in &versions {
                let Some(bytes) = golden.data.get(&example.name) else {
                    continue;
                };
                found = true;
                let place = format!("{} of version {}", example.id, golden.version);
                let writer = golden.schema.parse().unwrap();
                let message = topic
                    .decode_as(bytes, &writer)
                    .unwrap_or_else(|error| panic!("{place}: {error}"));
                assert_eq!(message, expected, "{place}");
                if without_docs(&golden.schema) == without_docs(topic.json) {
                    assert_eq!(*bytes, example.bytes, "{place}");
                }
            }
            assert!(
                found,
                "{} has no golden bytes; run with {WRITE}=<version> to write them",
                example.id
            );
        }
    }
}

#[test]
fn todays_schema_has_golden_bytes_and_every_golden_datum_an_example() {
    for topic in topics() {
        let versions = golden::of(&topic);
        let newest = versions
            .last()
            .unwrap_or_else(|| panic!("{} has no golden bytes", topic.name));
        let same = without_docs(&newest.schema) == without_docs(topic.json);
        assert!(
            same,
            "{}: the schema changed, so it needs a new golden version",
            topic.name
        );
        let examples: Vec<String> = topic.examples().into_iter().map(|example| example.name).collect();
        for name in versions.iter().flat_map(|golden| golden.data.keys()) {
            assert!(examples.contains(name), "{}: the example {name} is gone", topic.name);
        }
    }
}

/// What a registry checks under `FULL_TRANSITIVE`, here without a registry.
#[test]
fn every_version_reads_every_other() {
    for topic in topics() {
        for golden in golden::of(&topic) {
            let before = Schema::parse_str(&golden.schema).unwrap();
            assert!(
                read_each_other(&before, &topic.schema),
                "{} of version {}",
                topic.name,
                golden.version
            );
        }
    }
}
