//! Shows the records of a topic to people: one JSON object per line.
//!
//! Values are decoded with the schema of their writer by a generic Avro reader, not into the types
//! of this build: what is there is what is shown. A value that cannot be decoded is shown in
//! hexadecimal with the reason.

mod json;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;

use crate::codec::Registry;
use crate::hexadecimal::hexadecimal;
use crate::service::{Drained, PlatformOptions, kafka};

/// One question to the broker takes no longer than this.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// A topic that gives nothing for this long, with records left, is given up.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// What to show of a topic.
#[derive(clap::Args, Clone, Debug)]
pub struct TailOptions {
    /// Only this partition
    #[arg(long)]
    pub partition: Option<i32>,
    /// Where to begin in each partition: `beginning`, `end` or an offset
    #[arg(long, default_value = "beginning")]
    pub from: Start,
    /// Stop after so many records
    #[arg(long)]
    pub limit: Option<u64>,
    /// Go on with what comes, instead of stopping at the end
    #[arg(long)]
    pub follow: bool,
}

/// Where to begin in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record.
    Beginning,
    /// At what comes next.
    End,
    /// At this offset.
    At(i64),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "beginning" => Ok(Self::Beginning),
            "end" => Ok(Self::End),
            offset => match offset.parse() {
                Ok(offset) if offset >= 0 => Ok(Self::At(offset)),
                _ => Err(format!("{offset:?} is neither `beginning`, `end` nor an offset")),
            },
        }
    }
}

/// Writes records of a topic to `out` until the ends that the partitions have at the start, the
/// limit, or (with `follow`) for ever.
///
/// # Errors
/// When the topic does not exist, broker or registry are away, or `out` refuses.
pub async fn tail(platform: &PlatformOptions, topic: &str, options: &TailOptions, mut out: impl Write) -> Result<()> {
    let consumer = open(platform)?;
    let mut left = assign(&consumer, topic, options)?;
    let mut decoder = Decoder::new(platform)?;
    let mut shown = 0;
    let mut heard = Instant::now();
    while (options.follow || !left.is_empty()) && options.limit.is_none_or(|limit| shown < limit) {
        let record = match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => record,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                left.remove(&partition);
                continue;
            }
            Some(Err(error)) => return Err(error).with_context(|| format!("topic {topic} cannot be read")),
            None if options.follow || heard.elapsed() < SILENCE_LIMIT => continue,
            None => bail!(
                "no record came for {SILENCE_LIMIT:?}, with records left in partitions {:?}",
                left.keys()
            ),
        };
        heard = Instant::now();
        let end = left.get(&record.partition()).copied();
        if !options.follow && end.is_none_or(|end| record.offset() >= end) {
            // It came after the start.
            left.remove(&record.partition());
            continue;
        }
        if end == Some(record.offset() + 1) {
            left.remove(&record.partition());
        }
        let line = serde_json::to_string(&decoder.line(&record).await)?;
        writeln!(out, "{line}")?;
        shown += 1;
    }
    Ok(out.flush()?)
}

/// Why nobody can read a record.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// Its bytes are no value, whatever the registry knows: nobody could ever read it, and nobody will.
    Bytes(String),
    /// The registry has no such schema. Somebody may have known it.
    Schema(String),
}

/// The schema that the record at an offset names, if the registry has it, and why nobody can read the record; none
/// when its bytes are good Avro.
///
/// # Errors
/// When there is no such record, or Kafka or the registry does not answer.
pub(crate) async fn unreadable(
    platform: &PlatformOptions,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<(Option<u32>, Option<Unreadable>)> {
    let consumer: Drained = kafka::consumer_config(platform, "brokerx-topics-tail").create()?;
    let (low, high) = consumer
        .fetch_watermarks(topic, partition, ANSWER_LIMIT)
        .context("the broker does not answer")?;
    ensure!(
        (low..high).contains(&offset),
        "{topic}-{partition} holds offsets {low} to {high}"
    );
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    consumer.assign(&assignment)?;
    let record = consumer
        .poll(SILENCE_LIMIT)
        .with_context(|| format!("nothing came of {topic}-{partition} for {SILENCE_LIMIT:?}"))??;
    ensure!(record.offset() == offset, "there is no record at offset {offset}");
    let Some(bytes) = record.payload() else {
        return Ok((None, Some(Unreadable::Bytes("it has no value".to_owned()))));
    };
    let schema_id = match crate::codec::split(bytes) {
        Ok((schema_id, _)) => schema_id,
        Err(error) => return Ok((None, Some(Unreadable::Bytes(error.to_string())))),
    };
    let mut decoder = Decoder::new(platform)?;
    // Else a registry that is away for a moment would make an unreadable record of a good one.
    let is_known = decoder.registry.schema(schema_id).await?.is_some();
    let wrong = decoder.value(bytes).await.err();
    Ok(match is_known {
        true => (Some(schema_id), wrong.map(Unreadable::Bytes)),
        false => (None, wrong.map(Unreadable::Schema)),
    })
}

fn open(platform: &PlatformOptions) -> Result<Drained> {
    // Reads by assignment: the group exists in name only, nothing is committed.
    let mut config = kafka::consumer_config(platform, "brokerx-topics-tail");
    config.set("enable.partition.eof", "true");
    Ok(config.create()?)
}

/// Assigns the partitions; those with something to show, with the ends that they have now.
fn assign(consumer: &BaseConsumer, topic: &str, options: &TailOptions) -> Result<BTreeMap<i32, i64>> {
    let metadata = consumer
        .fetch_metadata(Some(topic), ANSWER_LIMIT)
        .context("the broker does not answer")?;
    let count = metadata
        .topics()
        .first()
        .map_or(0, |found| found.partitions().len() as i32);
    ensure!(count > 0, "there is no topic {topic}");
    let partitions = match options.partition {
        Some(partition) => {
            ensure!(
                (0..count).contains(&partition),
                "topic {topic} has partitions 0 to {}",
                count - 1
            );
            partition..partition + 1
        }
        None => 0..count,
    };
    let mut assignment = TopicPartitionList::new();
    let mut left = BTreeMap::new();
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, ANSWER_LIMIT)?;
        let start = match options.from {
            Start::Beginning => low,
            Start::End => high,
            Start::At(offset) => offset.clamp(low, high),
        };
        if start < high {
            left.insert(partition, high);
        }
        assignment.add_partition_offset(topic, partition, Offset::Offset(start))?;
    }
    consumer.assign(&assignment)?;
    Ok(left)
}

/// A record for people.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    /// RFC 3339.
    timestamp: Option<String>,
    key: Option<String>,
    headers: json::Headers,
    /// None for a tombstone, or when there is an error.
    value: Option<json::Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_hex: Option<String>,
}

/// Turns records into lines; remembers the schemas that it met.
struct Decoder {
    registry: Registry,
    schemas: HashMap<u32, Result<Schema, String>>,
}

impl Decoder {
    fn new(platform: &PlatformOptions) -> Result<Self> {
        Ok(Self {
            registry: Registry::new(platform)?,
            schemas: HashMap::new(),
        })
    }

    async fn line<'a>(&mut self, record: &'a BorrowedMessage<'_>) -> Line<'a> {
        let timestamp = record.timestamp().to_millis();
        let timestamp = timestamp.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let (value, error) = match record.payload() {
            None => (None, None),
            Some(bytes) => match self.value(bytes).await {
                Ok(value) => (Some(value), None),
                Err(reason) => (None, Some(reason)),
            },
        };
        Line {
            topic: record.topic(),
            partition: record.partition(),
            offset: record.offset(),
            timestamp: timestamp.map(|timestamp| timestamp.to_string()),
            key: record.key().map(json::text),
            headers: headers(record),
            value_hex: error
                .is_some()
                .then(|| hexadecimal(record.payload().unwrap_or_default())),
            value,
            error,
        }
    }

    async fn value(&mut self, bytes: &[u8]) -> Result<json::Shown, String> {
        let (id, mut datum) = crate::codec::split(bytes).map_err(|error| error.to_string())?;
        let schema = match self.schemas.get(&id) {
            Some(schema) => schema,
            None => {
                let fetched = self.fetch(id).await;
                self.schemas.entry(id).or_insert(fetched)
            }
        };
        let schema = schema.as_ref().map_err(Clone::clone)?;
        let value = read(schema, &mut datum).map_err(|error| error.to_string())?;
        if !datum.is_empty() {
            return Err(format!("{} bytes are left behind the datum", datum.len()));
        }
        Ok(json::Shown(value))
    }

    async fn fetch(&self, id: u32) -> Result<Schema, String> {
        let found = self.registry.schema(id).await.map_err(|error| error.to_string())?;
        let found = found.ok_or_else(|| format!("the registry has no schema with id {id}"))?;
        Schema::parse_str(&found.schema).map_err(|error| error.to_string())
    }
}

fn headers(record: &BorrowedMessage<'_>) -> json::Headers {
    let headers = record.headers().into_iter().flat_map(Headers::iter);
    json::Headers(
        headers
            .map(|header| (header.key.to_owned(), header.value.map(json::text)))
            .collect(),
    )
}

fn read(schema: &Schema, datum: &mut &[u8]) -> apache_avro::AvroResult<apache_avro::types::Value> {
    GenericDatumReader::builder(schema).build()?.read_value(datum)
}
