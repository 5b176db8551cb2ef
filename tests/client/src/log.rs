//! Whole topics, read as another team would read them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use brokerx_schemas::Message;
use brokerx_topics::codec::{Codec, DecodeError};
use brokerx_topics::headers;
use brokerx_topics::machine::Identity;
use brokerx_topics::passes::{Passes, Word};
use brokerx_topics::service::{Drained, PlatformOptions, kafka};
use rdkafka::consumer::Consumer;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

/// One question to the broker takes no longer than this.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
const READ_LIMIT: Duration = Duration::from_secs(120);

/// A record of a topic.
#[derive(Clone, Debug)]
pub struct LogRecord<M> {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Who wrote it, when it was a worker.
    pub identity: Option<Identity>,
    /// The value.
    pub value: M,
}

/// Every record of a topic up to its present end, partition by partition in order. Records of clients that
/// are not messages are left out: they are in the dead letters.
///
/// # Errors
/// When the broker does not answer in time, or a record cannot be decoded.
pub async fn read_topic<M: Message + Sync>(
    platform: &PlatformOptions,
    codec: &Codec,
) -> anyhow::Result<Vec<LogRecord<M>>> {
    let raw = {
        let platform = platform.clone();
        tokio::task::spawn_blocking(move || read_raw(&platform, M::TOPIC)).await??
    };
    // What is passed is known first: to ask for a schema that no registry knows takes seconds.
    let passes = Passes::new(platform.clone(), codec.clone());
    passes.reload().await?;
    let mut records = Vec::with_capacity(raw.len());
    for (partition, offset, identity, bytes) in raw {
        if matches!(passes.word(M::TOPIC, partition, offset), Word::Passed(_)) {
            continue;
        }
        match codec.decode_resolving(&bytes).await {
            Ok(value) => records.push(LogRecord {
                partition,
                offset,
                identity,
                value,
            }),
            Err(DecodeError::Malformed(_)) if identity.is_none() => {}
            Err(error) => bail!("{}-{partition} offset {offset}: {error:?}", M::TOPIC),
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    Ok(records)
}

type Raw = (i32, i64, Option<Identity>, Vec<u8>);

/// How many partitions a topic has. Blocks.
///
/// # Errors
/// When Kafka does not say so.
pub fn count_partitions(platform: &PlatformOptions, topic: &str) -> anyhow::Result<i32> {
    let consumer: Drained = kafka::consumer_config(platform, "brokerx-client").create()?;
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_LIMIT)?;
    let found = metadata.topics().first().context("the topic is unknown")?;
    Ok(i32::try_from(found.partitions().len())?)
}

fn read_raw(platform: &PlatformOptions, topic: &str) -> anyhow::Result<Vec<Raw>> {
    let mut config = kafka::consumer_config(platform, "brokerx-client");
    config.set("enable.partition.eof", "false");
    let consumer: Drained = config.create()?;
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_LIMIT)?;
    let partitions = metadata.topics().first().context("the topic is unknown")?.partitions();
    let mut assignment = TopicPartitionList::new();
    let mut left = BTreeMap::new();
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), ANSWER_LIMIT)?;
        if high > low {
            assignment.add_partition_offset(topic, partition.id(), Offset::Offset(low))?;
            left.insert(partition.id(), high);
        }
    }
    consumer.assign(&assignment)?;
    let mut records = Vec::new();
    let started = Instant::now();
    while !left.is_empty() {
        if started.elapsed() > READ_LIMIT {
            bail!("{topic} was not read within {READ_LIMIT:?}");
        }
        let Some(message) = consumer.poll(Duration::from_millis(200)) else {
            // A log may end with markers of transactions, which are no records.
            let reached = consumer.position()?;
            left.retain(|partition, end| {
                let place = reached.find_partition(topic, *partition);
                !matches!(place.map(|place| place.offset()), Some(Offset::Offset(offset)) if offset >= *end)
            });
            continue;
        };
        let message = message?;
        let end = left.get(&message.partition()).copied().unwrap_or(0);
        if message.offset() < end {
            let identity = headers::identity_of(message.headers())?;
            let value = message.payload().unwrap_or_default().to_vec();
            records.push((message.partition(), message.offset(), identity, value));
        }
        if message.offset() + 1 >= end {
            left.remove(&message.partition());
        }
    }
    Ok(records)
}

/// Removes duplicates as the documentation says: of each source, in each partition, only the record with
/// the last number + 1 is kept. Also returns the edges that end with a hole.
pub fn deduplicate<M>(records: Vec<LogRecord<M>>) -> (Vec<LogRecord<M>>, Vec<String>) {
    let mut last: BTreeMap<(i32, String), u64> = BTreeMap::new();
    let mut highest: BTreeMap<(i32, String), u64> = BTreeMap::new();
    let mut kept = Vec::with_capacity(records.len());
    for record in records {
        if let Some(identity) = &record.identity {
            let edge = (record.partition, identity.source.clone());
            let top = highest.entry(edge.clone()).or_default();
            *top = (*top).max(identity.seq);
            let last = last.entry(edge).or_default();
            if identity.seq != *last + 1 {
                continue;
            }
            *last += 1;
        }
        kept.push(record);
    }
    let holes = highest
        .into_iter()
        .filter(|(edge, top)| last.get(edge) != Some(top))
        .map(|((partition, source), top)| format!("{source} -> partition {partition}: a hole below {top}"))
        .collect();
    (kept, holes)
}

/// The last number of each edge into a topic: `(partition, source) -> seq`.
pub fn last_numbers<M>(records: &[LogRecord<M>]) -> BTreeMap<(i32, String), u64> {
    let mut last = BTreeMap::new();
    for record in records {
        if let Some(identity) = &record.identity {
            last.insert((record.partition, identity.source.clone()), identity.seq);
        }
    }
    last
}
