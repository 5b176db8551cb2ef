#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use brokerx_schemas::{Config, ORDERS_PER_SECOND, PARTITIONS, SCHEMAS};

use super::*;

fn project(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn every_message_has_a_topic_and_every_topic_a_message() {
    let messages: BTreeSet<_> = SCHEMAS.iter().map(|(topic, _)| *topic).collect();
    let topics: BTreeSet<_> = all().iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(messages, topics);
}

#[test]
fn every_file_of_the_catalogue_is_part_of_the_build() {
    let files: BTreeSet<_> = std::fs::read_dir(project("topics/catalogue"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let built: BTreeSet<_> = FILES.iter().map(|(name, _)| format!("{name}.yaml")).collect();
    assert_eq!(files, built);
}

#[test]
fn every_topic_names_its_schema() {
    for topic in all() {
        assert_eq!(topic.value_schema, format!("schemas/avro/{}.avsc", topic.name));
        let text = std::fs::read_to_string(project(&topic.value_schema)).unwrap();
        let (_, built) = SCHEMAS.iter().find(|(name, _)| *name == topic.name).unwrap();
        assert_eq!(text, *built, "{}", topic.name);
    }
}

#[test]
fn every_field_says_something() {
    for topic in all() {
        for (field, text) in [
            ("description", &topic.description),
            ("key", &topic.key),
            ("owner", &topic.owner),
            ("ordering", &topic.ordering),
            ("deduplication", &topic.deduplication),
        ] {
            assert!(!text.trim().is_empty(), "{}: {field}", topic.name);
        }
        assert!(!topic.writers.is_empty() && !topic.readers.is_empty(), "{}", topic.name);
    }
}

#[test]
fn an_inbox_is_a_log_that_keeps_everything_in_the_brokers_time() {
    let inboxes: Vec<_> = inboxes().collect();
    assert_eq!(inboxes.len(), 2);
    // `account-events` is the publisher's inbox: the same holds for it.
    for topic in inboxes.into_iter().chain([topic("account-events")]) {
        assert_eq!(topic.timestamp_type, TimestampType::LogAppendTime, "{}", topic.name);
        assert_eq!(topic.cleanup, Cleanup::Delete, "{}", topic.name);
        assert_eq!(topic.retention, Retention::Unlimited, "{}", topic.name);
    }
}

#[test]
fn what_cannot_be_derived_again_is_kept_without_limit() {
    for name in ["trades", "auth"] {
        assert_eq!(topic(name).cleanup, Cleanup::Delete, "{name}");
        assert_eq!(topic(name).retention, Retention::Unlimited, "{name}");
    }
}

#[test]
fn topics_of_one_key_have_as_many_partitions() {
    for (inbox, derived) in [
        (
            "account-commands",
            &["account-events", "orders", "deposits", "ledger", "auth", "acks"][..],
        ),
        ("book-commands", &["trades", "market-data"]),
    ] {
        for name in derived {
            assert_eq!(topic(name).partitions, topic(inbox).partitions, "{name}");
        }
    }
    // Both inboxes have as many: that is the number of the log.
    assert!(inboxes().all(|topic| topic.partitions == Partitions::AsTheLog));
    assert_eq!(topic("trades").count(3), 3);
    assert_eq!(topic("instruments").count(3), 1);
}

/// Who sends what is advertised for as long as a key is remembered is not refused for want of room, nor is anybody
/// alarmed.
#[test]
fn the_keys_of_the_advertised_rate_fit_into_a_new_log() {
    /// In thousandths of the room, as `docs/operations.md` says.
    const ALARM_PERMILLE: i64 = 700;
    let readme = std::fs::read_to_string(project("README.md")).unwrap();
    let (thousands, rest) = (ORDERS_PER_SECOND / 1_000, ORDERS_PER_SECOND % 1_000);
    let advertised = format!("at {thousands},{rest:03} orders/s");
    assert!(readme.contains(&advertised), "README does not say {advertised:?}");
    assert_eq!(Config::of_a_log(PARTITIONS), Config::default());
    for partitions in [1, 2, 3, 8, 16, 1_000] {
        let config = Config::of_a_log(partitions);
        let keys = ORDERS_PER_SECOND * config.closed_key_seconds;
        let needed = keys / i64::from(partitions) + 1;
        let room = i64::from(config.closed_keys_per_partition_max);
        assert!(
            needed * 1_000 / room < ALARM_PERMILLE,
            "{needed} keys of one of {partitions} partitions in room for {room}"
        );
    }
    let operations = std::fs::read_to_string(project("docs/operations.md")).unwrap();
    assert!(operations.contains(&format!(
        "`brokerx_runner_memory_permille` 1,000 (alarm at {ALARM_PERMILLE})"
    )));
}

#[test]
fn an_unknown_field_or_a_strange_retention_is_refused() {
    let (_, text) = FILES[0];
    assert!(serde_saphyr::from_str::<Topic>(text).is_ok());
    assert!(serde_saphyr::from_str::<Topic>(&format!("{text}partition_count: 8\n")).is_err());
    for (text, expected) in [
        ("unlimited", Some(-1)),
        ("1 hour", Some(3_600_000)),
        ("90 days", Some(7_776_000_000)),
        ("0 days", None),
        ("-1 days", None),
        ("90", None),
        ("90 weeks", None),
    ] {
        let retention = Retention::try_from(text.to_owned()).ok();
        assert_eq!(retention.map(Retention::milliseconds), expected, "{text}");
    }
}

#[test]
fn the_documentation_is_up_to_date() {
    let schema = |name: &str| {
        SCHEMAS
            .iter()
            .find(|(topic, _)| *topic == name)
            .map(|(_, schema)| *schema)
    };
    let expected = document(schema).unwrap();
    let found = std::fs::read_to_string(project("docs/topics.md")).unwrap_or_default();
    assert!(found == expected, "docs/topics.md is stale: run `brokerx-topics docs`");
}
