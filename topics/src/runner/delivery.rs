//! Sends, and what became of them.
//!
//! One producer per apply thread. Every record carries a [`Tag`]: which life of which partition sent
//! it, and the offset that caused it. A delivery report is handed on under that tag, so that a report
//! of an earlier life of a partition is never counted for a later one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use super::RunnerError;
use super::native::send_to_ack;
use crate::service::{Complaining, PlatformOptions, kafka};

/// How long a full queue is polled before the caller is asked whether to go on.
const FULL_QUEUE_POLL: Duration = Duration::from_millis(10);
const OFFSET_BITS: u32 = 47;
const TICK: u64 = 1 << OFFSET_BITS;

/// Whose record it was, in the 64 bits that librdkafka hands back: 16 of the life, one that tells a
/// tick, 47 of the offset (a million records per second for four years).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u64);

const _: () = assert!(size_of::<usize>() == 8, "a tag needs a 64-bit machine");

impl Tag {
    /// An output that the record at `offset` caused.
    ///
    /// # Panics
    /// When the offset does not fit into 47 bits.
    pub fn output(life: u16, offset: i64) -> Self {
        assert!(
            (0..1 << OFFSET_BITS).contains(&offset),
            "offset {offset} does not fit a tag"
        );
        Self(u64::from(life) << (OFFSET_BITS + 1) | offset as u64)
    }

    /// A tick.
    pub fn tick(life: u16) -> Self {
        Self(u64::from(life) << (OFFSET_BITS + 1) | TICK)
    }

    /// The life that sent it.
    pub fn life(self) -> u16 {
        (self.0 >> (OFFSET_BITS + 1)) as u16
    }

    /// The offset that caused it; none for a tick.
    pub fn offset(self) -> Option<i64> {
        (self.0 & TICK == 0).then_some((self.0 & (TICK - 1)) as i64)
    }
}

/// What to send.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Who sends it, and why.
    pub tag: Tag,
    /// Where to.
    pub topic: &'a str,
    /// Where to.
    pub partition: i32,
    /// The record's key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: &'a [u8],
    /// The headers.
    pub headers: Option<OwnedHeaders>,
}

/// Why a record was not sent.
#[derive(Debug)]
pub enum SendError {
    /// The producer is of no more use.
    Failed(String),
    /// The record can never be sent.
    Unsendable(String),
    /// The caller gave up on a full queue.
    Abandoned,
}

/// A producer with its delivery reports.
pub struct Sender {
    producer: BaseProducer<Deliveries>,
}

struct Deliveries {
    /// Filled by `poll` on the thread that drains it: the lock is never contended.
    reports: Mutex<Reports>,
    latency: Histogram,
}

#[derive(Default)]
struct Reports {
    delivered: Vec<Tag>,
    failure: Option<String>,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        Complaining.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) => {
                reports.delivered.push(Tag(tag as u64));
                if let Some(latency) = send_to_ack(message) {
                    self.latency.observe(latency.as_secs_f64());
                }
            }
            Err((error, message)) => {
                use rdkafka::Message as _;
                reports
                    .failure
                    .get_or_insert_with(|| format!("a record to {}-{}: {error}", message.topic(), message.partition()));
            }
        }
    }
}

impl Sender {
    /// A producer that neither loses, doubles nor reorders while it lives.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(platform: &PlatformOptions, latency: Histogram) -> Result<Self, RunnerError> {
        let deliveries = Deliveries {
            reports: Mutex::default(),
            latency,
        };
        let producer = kafka::producer_config(platform)
            // The contract of the runner, whatever the base settings say: acknowledged by all in
            // sync, never given up silently.
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", "0")
            .create_with_context(deliveries)
            .map_err(|error| RunnerError::Kafka(error.to_string()))?;
        Ok(Self { producer })
    }

    /// Hands a record to the producer. A full queue blocks: it is polled, and `go_on` asked now and
    /// then whether to wait longer.
    ///
    /// # Errors
    /// When the record was not taken.
    pub fn send(&self, outgoing: Outgoing<'_>, mut go_on: impl FnMut() -> bool) -> Result<(), SendError> {
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(outgoing.topic, outgoing.tag.0 as usize)
            .partition(outgoing.partition)
            .payload(outgoing.value);
        record.key = outgoing.key;
        record.headers = outgoing.headers;
        loop {
            let (error, refused) = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            record = refused;
            match error {
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => {
                    self.producer.poll(FULL_QUEUE_POLL);
                    if !go_on() {
                        return Err(SendError::Abandoned);
                    }
                }
                KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge) => {
                    return Err(SendError::Unsendable(format!("a record to {}: {error}", record.topic)));
                }
                error => return Err(SendError::Failed(format!("a record to {}: {error}", record.topic))),
            }
        }
    }

    /// Appends what was delivered since the last call. Waits for reports up to `wait` when it is not
    /// zero and records are in flight.
    ///
    /// # Errors
    /// When any record could not be delivered: everything of this producer starts over.
    pub fn collect(&self, wait: Duration, delivered: &mut Vec<Tag>) -> Result<(), String> {
        if !wait.is_zero() && self.in_flight() > 0 {
            self.producer.poll(wait);
        }
        loop {
            // One poll serves one event, the reports of one batch.
            self.producer.poll(Duration::ZERO);
            let mut reports = self
                .producer
                .context()
                .reports
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(failure) = &reports.failure {
                return Err(failure.clone());
            }
            if reports.delivered.is_empty() {
                return Ok(());
            }
            delivered.append(&mut reports.delivered);
        }
    }

    /// A client for questions on the producer's connection.
    pub fn client(&self) -> &Client<impl ClientContext> {
        self.producer.client()
    }

    /// Records that were sent and not reported on.
    pub fn in_flight(&self) -> i32 {
        self.producer.in_flight_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_holds_life_and_offset() {
        for (life, offset) in [(0, 0), (u16::MAX, (1 << OFFSET_BITS) - 1), (7, 123_456_789_012)] {
            let tag = Tag::output(life, offset);
            assert_eq!((tag.life(), tag.offset()), (life, Some(offset)));
        }
        assert_eq!((Tag::tick(9).life(), Tag::tick(9).offset()), (9, None));
    }
}
