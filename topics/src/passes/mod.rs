//! Offsets that every reader passes: what can never be read, and what somebody decided about it.
//!
//! A record whose schema no registry knows, or whose bytes are none, stops whoever must not lose one. To go
//! on behind it is a decision, and it must be the same for everybody who reads the log, today and in a
//! replay years later, also when the registry knows that schema by then. So the decision is a record of
//! its own, in the topic `passed-offsets`, which is kept for ever; every reader looks there before it uses
//! a record. It is made by an operator (`brokerx-topics pass`), and for a client's record, which may go to
//! the dead letters, by the runner that meets it.
//!
//! # Invariants
//! - Nobody passes an offset before the decision is acknowledged.
//! - Who begins to read, and who had to ask for a schema, has read all decisions up to then.
//! - All who fold a log take the same view of each of its offsets. A decision is judged by its bytes and by the
//!   schema that they name, and neither ever changes; the topic is not compacted, so the first decision about an
//!   offset stays the first. A record without a value, or whose bytes are no message, is one for nobody, today
//!   and for ever: it decides nothing and stops nobody. Only what the registry says of a schema's id changes in
//!   time. So nobody guesses what a decision says whose schema is not known: its key names the offset that it is
//!   about, and who comes to that very offset waits ([`Word::Undecided`]) until the schema is there, or until an
//!   operator has passed that offset or, as an offset of `passed-offsets`, the decision itself. Everybody else
//!   goes on. A schema that is known here once is known for ever.
//! - A decision about an offset stands under the key of that offset, else it decides nothing: a schema that comes
//!   late passes no other offset than the one that waited. A decision that is passed itself decides nothing for
//!   ever, also when its schema comes; only a later record passes it.
//! - While the registry does not answer for a schema, the decision that names it counts as one of an unknown schema:
//!   who comes to its offset waits, everybody else goes on.
//! - What was appended ahead of the clock is used at once when an operator has accepted its time
//!   (`brokerx-topics accept-time`). That decides when it is used, never what it means, so the latest time counts.
//!
//! What cannot be read is logged, and shown by [`watch_unreadable`], until it is passed itself.
//!
//! # Known limits
//! - A schema that is registered under a denied id in the very moment in which the decision is written may
//!   be used by one reader and passed by another.
//! - A decision that can be read stands for ever for `brokerx-topics pass`. Who writes around it that such a decision
//!   is passed makes later readers use what earlier ones passed.

mod acceptance;
mod decision;
mod decisions;
mod hints;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arc_swap::ArcSwap;
use brokerx_schemas::{AcceptedTime, Message, Passage, PassedOffset};
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::codec::{Codec, CodecError};
use crate::service::{Drained, PlatformOptions, kafka};
pub use acceptance::{Acceptance, accept_time};
pub use decision::{Decision, decide};
pub use decisions::Word;
use decisions::{Decisions, Raw};
pub use hints::{from_the_future, hint, undecided};
pub use watch::watch_unreadable;

/// How long the broker may take to answer a client that knows it; it takes milliseconds.
const ASK_LIMIT: Duration = Duration::from_millis(500);
/// How long it may take to answer a new client.
const ANEW_LIMIT: Duration = Duration::from_millis(1_500);
/// How long the decisions may take to be read.
const LIMIT: Duration = Duration::from_secs(3);
/// How long the registry may take to answer for a schema: whoever asks may hold partitions meanwhile.
const SCHEMA_LIMIT: Duration = Duration::from_millis(1_500);
/// How long a decision may take until it is acknowledged.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// The decisions, as far as they were read; every clone knows the same.
#[derive(Clone, Debug)]
pub struct Passes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    platform: PlatformOptions,
    codec: Codec,
    known: ArcSwap<Decisions>,
    /// The offset behind the last record that was read.
    end: AtomicI64,
}

impl Passes {
    /// None read yet.
    pub fn new(platform: PlatformOptions, codec: Codec) -> Self {
        Self {
            shared: Arc::new(Shared {
                platform,
                codec,
                known: ArcSwap::default(),
                end: AtomicI64::new(0),
            }),
        }
    }

    /// What is decided about an offset, as far as that was read.
    pub fn word(&self, topic: &str, partition: i32, offset: i64) -> Word {
        self.shared.known.load().word(topic, partition, offset)
    }

    /// Whether what was appended to a partition at a time, milliseconds since the epoch, is used although that time
    /// has not come, as far as that was read.
    pub fn accepts(&self, topic: &str, partition: i32, appended_ms: i64) -> bool {
        self.shared.known.load().accepts(topic, partition, appended_ms)
    }

    /// Reads what was decided since the last time. `client` asks whether there is anything; blocks for a
    /// round trip when there is not, for 2 s at most, and for some seconds when there is.
    ///
    /// # Errors
    /// When the broker does not answer.
    ///
    /// # Panics
    /// In an async task, when the registry must be asked.
    pub fn refresh(&self, client: &Client<impl ClientContext>) -> Result<()> {
        let topic = Passage::TOPIC;
        let (low, high) = match client.fetch_watermarks(topic, 0, ASK_LIMIT) {
            Ok(watermarks) => watermarks,
            // A client whose broker was away, or said once that there is no such topic, goes on believing that
            // for up to half a minute after its return. A new one asks.
            Err(_) => self
                .ask_anew()
                .with_context(|| format!("{topic} cannot be asked for; is `brokerx-topics apply` done?"))?,
        };
        // A schema that was denied may be there by now.
        let is_complete = self.shared.known.load().unknown_schemas.is_empty();
        if high > self.shared.end.load(Ordering::Acquire) || !is_complete {
            let records = self.read(low, high)?;
            let decisions = self.understand(&records)?;
            watch::tell(&decisions.unreadable);
            self.shared.known.store(Arc::new(decisions));
            self.shared.end.store(high, Ordering::Release);
        }
        Ok(())
    }

    fn ask_anew(&self) -> Result<(i64, i64)> {
        let consumer = client(&self.shared.platform)?;
        Ok(consumer.fetch_watermarks(Passage::TOPIC, 0, ANEW_LIMIT)?)
    }

    fn read(&self, low: i64, high: i64) -> Result<Vec<Raw>> {
        let topic = Passage::TOPIC;
        let consumer = client(&self.shared.platform)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(low))?;
        consumer.assign(&list)?;
        let mut records = Vec::new();
        let started = Instant::now();
        while kafka::position(&consumer, topic, 0)?.unwrap_or(low) < high {
            ensure!(started.elapsed() < LIMIT, "{topic} was not read in time");
            let Some(message) = consumer.poll(Duration::from_millis(50)) else {
                continue;
            };
            let message = message?;
            records.push(Raw {
                offset: message.offset(),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
            });
        }
        Ok(records)
    }

    /// What the records say, once each schema that they need was asked for. While the registry does not answer, a
    /// schema that is not known is taken as one that it denies: only who comes to the offset of that decision waits.
    fn understand(&self, records: &[Raw]) -> Result<Decisions> {
        let codec = &self.shared.codec;
        let mut denied = BTreeSet::new();
        loop {
            let decisions = Decisions::of(records, |value| codec.decode(value));
            let Some(schema_id) = decisions.unknown_schemas.difference(&denied).next().copied() else {
                return Ok(decisions);
            };
            match self.ask_for_schema(schema_id)? {
                Ok(()) => {}
                Err(CodecError::NoSuchSchema { .. }) => {
                    denied.insert(schema_id);
                }
                Err(error) => {
                    // It is not asked for each of them: whoever asks may hold partitions meanwhile.
                    tracing::warn!(schema_id, %error, "a decision cannot be read yet");
                    return Ok(decisions);
                }
            }
        }
    }

    fn ask_for_schema(&self, schema_id: u32) -> Result<Result<(), CodecError>> {
        // Of its own, because whoever asks may be on a thread without one; it happens once in years.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = async { tokio::time::timeout(SCHEMA_LIMIT, self.shared.codec.resolve(schema_id)).await };
        Ok(runtime.block_on(asked).unwrap_or_else(|_| {
            Err(CodecError::Registry {
                url: self.shared.platform.schema_registry_url.clone(),
                reason: "it does not answer in time".to_owned(),
            })
        }))
    }

    /// As [`refresh`](Self::refresh), off the async threads.
    ///
    /// # Errors
    /// As there.
    pub async fn reload(&self) -> Result<()> {
        let passes = self.clone();
        tokio::task::spawn_blocking(move || {
            let consumer = client(&passes.shared.platform)?;
            passes.refresh(consumer.client())
        })
        .await?
    }

    /// Whether an offset is passed, after a look at what was decided by now.
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh).
    pub async fn look(&self, topic: &str, partition: i32, offset: i64) -> Result<bool> {
        self.reload().await?;
        Ok(matches!(self.word(topic, partition, offset), Word::Passed(_)))
    }

    /// Why the record at an offset of `passed-offsets` decides nothing, as far as that was read; none when it decides
    /// something, or is not there, or is passed itself.
    fn why_it_decides_nothing(&self, offset: i64) -> Option<String> {
        self.shared.known.load().unreadable.get(&offset).cloned()
    }

    /// Writes a decision down and reads it back. From then on everybody passes the offset.
    ///
    /// # Errors
    /// When it is not acknowledged, or not read; it may be there nevertheless.
    pub async fn record(&self, passed: PassedOffset) -> Result<()> {
        let key = Decisions::key_of(&passed.topic, passed.partition, passed.offset);
        self.write(&key, &Passage::PassedOffset(passed)).await
    }

    /// Writes down up to which time a log from the future is used.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    async fn accept(&self, accepted: AcceptedTime) -> Result<()> {
        let key = Decisions::key_of_time(&accepted.topic, accepted.partition);
        self.write(&key, &Passage::AcceptedTime(accepted)).await
    }

    async fn write(&self, key: &str, passage: &Passage) -> Result<()> {
        let mut config = kafka::producer_config(&self.shared.platform);
        config.set("message.timeout.ms", SEND_LIMIT.as_millis().to_string());
        let producer: FutureProducer = config.create()?;
        let mut value = Vec::new();
        self.shared.codec.encode(passage, &mut value)?;
        let record = FutureRecord::to(Passage::TOPIC).partition(0).key(key).payload(&value);
        let sent = producer.send(record, SEND_LIMIT).await;
        sent.map_err(|(error, _)| error)
            .context("the decision was not acknowledged")?;
        self.reload().await
    }
}

/// How many partitions a topic has.
fn count_partitions(platform: &PlatformOptions, topic: &str) -> Result<i32> {
    let metadata = client(platform)?
        .fetch_metadata(Some(topic), SEND_LIMIT)
        .with_context(|| format!("the partitions of {topic} cannot be asked for"))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let count = found.map_or(0, |found| found.partitions().len());
    ensure!(
        count > 0,
        "the cluster has no topic {topic}; is `brokerx-topics apply` done?"
    );
    Ok(i32::try_from(count)?)
}

/// A client of its own for what is asked here; it is in no group.
fn client(platform: &PlatformOptions) -> Result<Drained, KafkaError> {
    kafka::consumer_config(platform, "brokerx-passes").create()
}
