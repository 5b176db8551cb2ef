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
//!
//! # Known limits
//! - A schema that is registered under a denied id in the very moment in which the decision is written may
//!   be used by one reader and passed by another.

mod decision;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arc_swap::ArcSwap;
use brokerx_schemas::{Message, Passage, PassedOffset};
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::codec::Codec;
use crate::service::{Drained, PlatformOptions, kafka};
pub use decision::{Decision, decide};

/// How long the broker may take to answer a client that knows it; it takes milliseconds.
const ASK_LIMIT: Duration = Duration::from_millis(500);
/// How long it may take to answer a new client.
const ANEW_LIMIT: Duration = Duration::from_millis(1_500);
/// How long the decisions may take to be read.
const LIMIT: Duration = Duration::from_secs(3);
/// How long a decision may take until it is acknowledged.
const SEND_LIMIT: Duration = Duration::from_secs(10);

type Place = (String, i32, i64);

/// The decisions, as far as they were read; every clone knows the same.
#[derive(Clone, Debug)]
pub struct Passes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    platform: PlatformOptions,
    codec: Codec,
    known: ArcSwap<HashMap<Place, Arc<PassedOffset>>>,
    /// The offset behind the last decision that was read.
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

    /// What was decided about an offset; none when its record is to be used.
    pub fn of(&self, topic: &str, partition: i32, offset: i64) -> Option<Arc<PassedOffset>> {
        let known = self.shared.known.load();
        if known.is_empty() {
            return None;
        }
        known.get(&(topic.to_owned(), partition, offset)).cloned()
    }

    /// Reads what was decided since the last time. `client` asks whether there is anything; blocks for a
    /// round trip when there is not, for 2 s at most.
    ///
    /// # Errors
    /// When the broker does not answer, or a decision cannot be read.
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
        if high > self.shared.end.load(Ordering::Acquire) {
            self.read(low, high)?;
        }
        Ok(())
    }

    fn ask_anew(&self) -> Result<(i64, i64)> {
        let consumer = client(&self.shared.platform)?;
        Ok(consumer.fetch_watermarks(Passage::TOPIC, 0, ANEW_LIMIT)?)
    }

    fn read(&self, low: i64, high: i64) -> Result<()> {
        let topic = Passage::TOPIC;
        let consumer = client(&self.shared.platform)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(low))?;
        consumer.assign(&list)?;
        let mut known = HashMap::new();
        let started = Instant::now();
        while kafka::position(&consumer, topic, 0)?.unwrap_or(low) < high {
            ensure!(started.elapsed() < LIMIT, "{topic} was not read in time");
            let Some(message) = consumer.poll(Duration::from_millis(50)) else {
                continue;
            };
            let message = message?;
            match self.shared.codec.decode(message.payload().unwrap_or_default())? {
                Passage::PassedOffset(passed) => {
                    // The first decision counts: whoever passed the offset already went by that.
                    let place = (passed.topic.clone(), passed.partition, passed.offset);
                    known.entry(place).or_insert_with(|| Arc::new(passed));
                }
                Passage::Unknown => {}
            }
        }
        self.shared.known.store(Arc::new(known));
        self.shared.end.store(high, Ordering::Release);
        Ok(())
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
        Ok(self.of(topic, partition, offset).is_some())
    }

    /// Writes a decision down and reads it back. From then on everybody passes the offset.
    ///
    /// # Errors
    /// When it is not acknowledged, or not read; it may be there nevertheless.
    pub async fn record(&self, passed: PassedOffset) -> Result<()> {
        let mut config = kafka::producer_config(&self.shared.platform);
        config.set("message.timeout.ms", SEND_LIMIT.as_millis().to_string());
        let producer: FutureProducer = config.create()?;
        let key = format!("{}-{}-{}", passed.topic, passed.partition, passed.offset);
        let mut value = Vec::new();
        self.shared.codec.encode(&Passage::PassedOffset(passed), &mut value)?;
        let record = FutureRecord::to(Passage::TOPIC).partition(0).key(&key).payload(&value);
        let sent = producer.send(record, SEND_LIMIT).await;
        sent.map_err(|(error, _)| error)
            .context("the decision was not acknowledged")?;
        self.reload().await
    }
}

/// A client of its own for what is asked here; it is in no group.
fn client(platform: &PlatformOptions) -> Result<Drained, KafkaError> {
    kafka::consumer_config(platform, "brokerx-passes").create()
}

/// What an operator is told about a record that cannot be read.
pub fn hint(topic: &str, partition: i32, offset: i64) -> String {
    format!("when it is lost for good: brokerx-topics pass {topic} {partition} {offset} (docs/operations.md)")
}
