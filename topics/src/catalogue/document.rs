//! The catalogue as documentation for people.

use std::fmt::Write;

use serde_json::Value;

use super::{Kind, Topic, all};

const INTRODUCTION: &str = "\
# Topics

Written by `brokerx-topics docs` from the files in `topics/catalogue/` and `schemas/avro/`; edit those.

Values are Avro in the Confluent wire format (a zero byte, the schema id, the datum) under the subject
`<topic>-value`; compatibility is `FULL_TRANSITIVE`: old and new readers understand old and new records.
A topic with several kinds of record has an enum `kind` and one nullable record per kind: switch on
`kind`, and skip `UNKNOWN`, which is what you see of a kind that came later.

Partitions are those of the Java client's default partitioner (murmur2 of the key); the number of a topic never
changes. *As the log* is what that of an installation was begun with (`brokerx-topics apply --partitions`, 8 without a
word; a local system has as many as processors, 2 to 16): the partitions of an account, or of a symbol, have one number
in all those topics. Money is integer US cents, a quantity whole shares, a time microseconds since the epoch (UTC).

Records come at least once. Each that a worker writes has the headers `src` (the writer's inbox, as
`topic-partition`), `seq` (dense from 1 per `src` and partition of this topic) and `off` (the offset in
`src` that caused it); `correlation-id` and `traceparent` lead back to the request.

Where only workers write, a record without a `src`, or with that of another inbox, is nobody's, and all of our own
readers leave it out: settlement writes as `account-commands-N`, the matcher as `book-commands-N`, the publisher as
`account-events-N`. Only the publisher does not: what it makes of a log stays as it is, so an event in `account-events`
without a `src` comes out in the public topics. Kafka's rights keep such records away where they are switched on.

Per partition and `src`, a record counts only when its `seq` is the last one + 1: a lower number is a
duplicate, and a higher one stands behind a hole and will come again. The first number that is ever seen of
a `src` is its base. A reader stores the last `seq` of each `src` together with the offset, in the same
transaction as what it made of the records; one that restarts with the offset alone counts twice what is
written again, or drops what comes again behind a hole. `tests/e2e/python/consumer.py` is an example.

";

/// The whole catalogue in Markdown; `schema` gives the text of a schema by its topic's name.
///
/// # Errors
/// When a schema is missing or is not JSON.
pub fn document(schema: impl Fn(&str) -> Option<&'static str>) -> anyhow::Result<String> {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("| topic | kind | key | partitions | kept | written by | read by |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    for topic in all() {
        let Topic {
            name,
            kind,
            key,
            partitions,
            ..
        } = topic;
        writeln!(
            text,
            "| [{name}](#{name}) | {kind} | {key} | {partitions} | {} | {} | {} |",
            kept(topic),
            topic.writers.join(", "),
            topic.readers.join(", "),
        )?;
    }
    for topic in all() {
        let schema = schema(&topic.name).ok_or_else(|| anyhow::anyhow!("topic {} has no schema", topic.name))?;
        section(&mut text, topic, &serde_json::from_str(schema)?)?;
    }
    Ok(text)
}

fn kept(topic: &Topic) -> String {
    match topic.cleanup {
        super::Cleanup::Compact => "the last record of each key".to_owned(),
        super::Cleanup::Delete => topic.retention.to_string(),
    }
}

fn section(text: &mut String, topic: &Topic, schema: &Value) -> std::fmt::Result {
    writeln!(text, "\n## {}\n\n{}\n", topic.name, topic.description)?;
    let audience = match topic.kind {
        Kind::Inbox => "an inbox: the log that a worker folds over",
        Kind::Public => "public: a contract with other teams",
        Kind::Internal => "internal: may change without notice",
    };
    for (title, value) in [
        ("Kind", audience.to_owned()),
        ("Owner", topic.owner.clone()),
        ("Key", topic.key.clone()),
        ("Partitions", topic.partitions.to_string()),
        ("Kept", kept(topic)),
        ("Timestamps", topic.timestamp_type.to_string()),
        ("Written by", topic.writers.join(", ")),
        ("Read by", topic.readers.join(", ")),
        (
            "Schema",
            format!("[`{0}`](../{0}), subject `{1}`", topic.value_schema, topic.subject()),
        ),
        ("Order", topic.ordering.clone()),
        ("Duplicates", topic.deduplication.clone()),
    ] {
        writeln!(text, "- **{title}**: {value}")?;
    }
    kinds(text, schema)
}

/// The kinds of record, or the fields where there is only one.
fn kinds(text: &mut String, schema: &Value) -> std::fmt::Result {
    writeln!(text, "\n| field | meaning |\n|---|---|")?;
    for field in schema["fields"].as_array().into_iter().flatten() {
        let name = field["name"].as_str().unwrap_or_default();
        let doc = field["doc"].as_str().unwrap_or_default();
        writeln!(text, "| `{name}` | {} |", doc.replace('|', "\\|"))?;
    }
    Ok(())
}
