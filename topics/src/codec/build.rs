//! The schemas of this build, parsed once per process.

use std::sync::LazyLock;

use brokerx_schemas::{AvroSchema, SCHEMAS};

/// The place of a topic in [`schemas`].
pub(super) type Slot = usize;

/// A schema as its writer had it.
#[derive(Debug)]
pub(super) struct WriterSchema {
    /// Full name of the record.
    pub(super) record_name: String,
    /// Its parsed form.
    pub(super) schema: AvroSchema,
}

impl WriterSchema {
    /// Parses a schema whose root is a record.
    pub(super) fn parse(json: &str) -> Result<Self, String> {
        let record_name = record_name(json)?;
        let schema = json.parse::<AvroSchema>().map_err(|error| error.to_string())?;
        Ok(Self { record_name, schema })
    }
}

/// A topic and its schema in this build.
#[derive(Debug)]
pub(super) struct TopicSchema {
    pub(super) topic: &'static str,
    /// As it is registered.
    pub(super) json: &'static str,
    pub(super) writer: WriterSchema,
}

/// All schemas of this build, in the order of [`SCHEMAS`].
///
/// # Panics
/// When a schema of this build cannot be parsed; a test of the schemas shows that each can.
pub(super) fn schemas() -> &'static [TopicSchema] {
    static PARSED: LazyLock<Vec<TopicSchema>> = LazyLock::new(|| {
        SCHEMAS
            .iter()
            .map(|(topic, json)| TopicSchema {
                topic,
                json,
                writer: WriterSchema::parse(json)
                    .unwrap_or_else(|reason| panic!("the schema of topic {topic} is wrong: {reason}")),
            })
            .collect()
    });
    &PARSED
}

/// The slot of a topic: a scan over a dozen short names is quicker than a hash.
///
/// # Panics
/// When no message has that topic.
pub(super) fn slot_of(topic: &str) -> Slot {
    schemas()
        .iter()
        .position(|schema| schema.topic == topic)
        .unwrap_or_else(|| panic!("no message has topic {topic}"))
}

/// The subject of a topic's values.
pub(crate) fn subject_of(topic: &str) -> String {
    format!("{topic}-value")
}

/// The full name of the record that a schema declares.
fn record_name(json: &str) -> Result<String, String> {
    let value: serde_json::Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if value["type"] != "record" {
        return Err("not a record".to_owned());
    }
    let name = value["name"].as_str().ok_or("a record without a name")?;
    Ok(match value["namespace"].as_str() {
        Some(namespace) if !name.contains('.') && !namespace.is_empty() => format!("{namespace}.{name}"),
        _ => name.to_owned(),
    })
}
