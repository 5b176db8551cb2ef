//! What the contract tests share: the codecs of every topic, the examples, and the way from an
//! example to an Avro datum that goes through the schema alone, never through the Rust types.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test binary uses a part of this"
)]

pub mod datum;
pub mod golden;
pub mod parts;
pub mod symbols;

use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use brokerx_schemas::*;
use serde_json::Value as Json;

/// One topic: its schema, as both libraries know it, and its Rust type.
pub struct Topic {
    /// The topic's name.
    pub name: &'static str,
    /// The schema as text.
    pub json: &'static str,
    /// The schema for the reference library.
    pub schema: Schema,
    /// The schema for the library of the hot path.
    pub fast: AvroSchema,
    decode: fn(&[u8], &AvroSchema) -> Result<AnyMessage, DatumError>,
}

impl Topic {
    fn of<M: Message + Into<AnyMessage>>() -> Self {
        Self {
            name: M::TOPIC,
            json: M::SCHEMA,
            schema: Schema::parse_str(M::SCHEMA).unwrap_or_else(|error| panic!("{}: {error}", M::TOPIC)),
            fast: M::SCHEMA
                .parse()
                .unwrap_or_else(|error| panic!("{}: {error}", M::TOPIC)),
            decode: |bytes, schema| M::read_datum(bytes, schema).map(Into::into),
        }
    }

    /// Decodes a datum of today's schema into the Rust type.
    pub fn decode(&self, bytes: &[u8]) -> Result<AnyMessage, DatumError> {
        (self.decode)(bytes, &self.fast)
    }

    /// Decodes a datum of another writer's schema into the Rust type.
    pub fn decode_as(&self, bytes: &[u8], writer: &AvroSchema) -> Result<AnyMessage, DatumError> {
        (self.decode)(bytes, writer)
    }

    /// Encodes a message with the library of the hot path.
    pub fn encode(&self, message: &AnyMessage) -> Vec<u8> {
        let mut datum = Vec::new();
        let written = message.write_datum(&self.fast, &mut datum);
        written.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        datum
    }

    /// The symbols of the `kind` field without `UNKNOWN`, in the order of the schema.
    pub fn kinds(&self) -> Vec<String> {
        let schema: Json = serde_json::from_str(self.json).unwrap();
        let kind = schema["fields"]
            .as_array()
            .unwrap()
            .iter()
            .find(|field| field["name"] == "kind")
            .unwrap();
        let symbols = kind["type"]["symbols"]
            .as_array()
            .unwrap()
            .iter()
            .map(|symbol| symbol.as_str().unwrap());
        symbols
            .filter(|symbol| *symbol != "UNKNOWN")
            .map(str::to_owned)
            .collect()
    }

    /// The examples of the topic, by name.
    pub fn examples(&self) -> Vec<Example> {
        let mut files: Vec<PathBuf> = fs::read_dir(folder("examples").join(self.name))
            .unwrap_or_else(|error| panic!("examples of {}: {error}", self.name))
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files.iter().map(|file| Example::read(self, file)).collect()
    }
}

/// Every topic.
pub fn topics() -> Vec<Topic> {
    let topics = vec![
        Topic::of::<AccountCommand>(),
        Topic::of::<BookCommand>(),
        Topic::of::<Reply>(),
        Topic::of::<AccountEvent>(),
        Topic::of::<OrderEvent>(),
        Topic::of::<DepositEvent>(),
        Topic::of::<LedgerEvent>(),
        Topic::of::<AuthEvent>(),
        Topic::of::<TradeEvent>(),
        Topic::of::<MarketData>(),
        Topic::of::<InstrumentEvent>(),
        Topic::of::<AckEvent>(),
        Topic::of::<DeadLetter>(),
        Topic::of::<Passage>(),
    ];
    let names: Vec<&str> = topics.iter().map(|topic| topic.name).collect();
    assert_eq!(
        names,
        SCHEMAS.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        "a topic is missing in the tests"
    );
    topics
}

/// The topic of a name.
pub fn topic(name: &str) -> Topic {
    topics().into_iter().find(|topic| topic.name == name).unwrap()
}

/// Whether each of two schemas reads every datum of the other. The library's partial compatibility is not
/// enough: it is what a nullable record gets that fits only when it is null.
pub fn read_each_other(one: &Schema, other: &Schema) -> bool {
    matches!(SchemaCompatibility::mutual_read(one, other), Ok(Compatibility::Full))
}

/// A folder of this package.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// An example file and the datum that it stands for.
pub struct Example {
    /// `<topic>/<name>`.
    pub id: String,
    /// The file's name without `.json`: the kind in lower case, then, after a `.`, what is special about it.
    pub name: String,
    /// The file's content.
    pub json: Json,
    /// The datum in today's schema; fields that the file leaves out have the defaults of the schema.
    pub value: apache_avro::types::Value,
    /// The datum's bytes, by the reference library.
    pub bytes: Vec<u8>,
}

impl Example {
    fn read(topic: &Topic, file: &Path) -> Self {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let id = format!("{}/{name}", topic.name);
        let json: Json = serde_json::from_slice(&fs::read(file).unwrap()).unwrap_or_else(|e| panic!("{id}: {e}"));
        let value = datum::from_json(&topic.schema, &json).unwrap_or_else(|error| panic!("{id}: {error}"));
        let bytes = datum::bytes(&topic.schema, &value);
        Self {
            id,
            name,
            json,
            value,
            bytes,
        }
    }

    /// The kind that the name promises, as a symbol.
    pub fn kind(&self) -> String {
        self.name.split('.').next().unwrap().to_uppercase()
    }
}
