//! A producer that tells each sender what became of its record.
//!
//! It does what rdkafka's `FutureProducer` does, without its price: that one (0.39) polls for 100 ms
//! at a time and spins through the last millisecond of each poll, because what is left of the time
//! is cut to whole milliseconds. That is 1 % of a processor for each producer, for ever.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use tokio::sync::oneshot;

/// How long one poll takes. What is delivered ends no poll and is told at once; a producer that
/// nobody holds any more is dropped after one.
const POLL: Duration = Duration::from_secs(5);

/// A record to be sent.
#[derive(Debug)]
pub struct Outbound<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition; without one the key decides.
    pub partition: Option<i32>,
    /// Its key.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// Its headers.
    pub headers: OwnedHeaders,
}

/// What will have become of a record.
#[derive(Debug)]
pub struct Delivery(oneshot::Receiver<Result<(), KafkaError>>);

impl Delivery {
    /// Waits until the broker has acknowledged the record.
    ///
    /// # Errors
    /// When it was not delivered, or the producer is gone.
    pub async fn delivered(self) -> Result<(), KafkaError> {
        let gone = |_| Err(KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue));
        self.0.await.unwrap_or_else(gone)
    }
}

struct Deliveries;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<oneshot::Sender<Result<(), KafkaError>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, sender: Self::DeliveryOpaque) {
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody need wait for it.
        let _ = sender.send(outcome);
    }
}

/// A producer; clones share it.
#[derive(Clone)]
pub struct DeliveringProducer(Arc<BaseProducer<Deliveries>>);

impl DeliveringProducer {
    /// A producer of these settings, and the thread that takes in its deliveries.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    ///
    /// # Panics
    /// When the system gives no thread.
    pub fn new(config: &ClientConfig) -> Result<Self, KafkaError> {
        let producer = Arc::new(config.create_with_context::<_, BaseProducer<_>>(Deliveries)?);
        let weak = Arc::downgrade(&producer);
        std::thread::Builder::new()
            .name("deliveries".to_owned())
            .spawn(move || {
                while let Some(producer) = weak.upgrade() {
                    producer.poll(POLL);
                }
            })
            .expect("a process that can start has a thread left for its producer");
        Ok(Self(producer))
    }

    /// Hands a record to the producer.
    ///
    /// # Errors
    /// When it was not taken: `QueueFull`, or it can never be sent.
    pub fn send(&self, outbound: Outbound<'_>) -> Result<Delivery, KafkaError> {
        let (sender, receiver) = oneshot::channel();
        let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(outbound.topic, Box::new(sender))
            .key(outbound.key)
            .payload(outbound.value)
            .headers(outbound.headers);
        record.partition = outbound.partition;
        match self.0.send(record) {
            Ok(()) => Ok(Delivery(receiver)),
            Err((error, _)) => Err(error),
        }
    }

    /// Records that were taken and not delivered yet.
    pub fn in_flight(&self) -> i32 {
        self.0.in_flight_count()
    }

    /// Waits until all records that were taken are delivered or given up. Blocks.
    ///
    /// # Errors
    /// When the limit passes.
    pub fn flush(&self, limit: Duration) -> Result<(), KafkaError> {
        self.0.flush(limit)
    }

    /// Asks a broker about a topic: whether one answers.
    ///
    /// # Errors
    /// When none does within the limit.
    pub fn ask(&self, topic: &str, limit: Duration) -> Result<(), KafkaError> {
        self.0.client().fetch_metadata(Some(topic), limit).map(|_| ())
    }
}
