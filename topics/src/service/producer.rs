//! A producer that tells each sender what became of its record, and that outlives its own failure.
//!
//! It does what rdkafka's `FutureProducer` does, without its price: that one (0.39) polls for 100 ms
//! at a time and spins through the last millisecond of each poll, because what is left of the time
//! is cut to whole milliseconds. That is 1 % of a processor for each producer, for ever.
//!
//! **When it fails for good.** An idempotent producer that can no longer keep its promise (a sequence
//! number that the broker does not expect, for example) refuses everything from then on. Another one is
//! made in its place: by whoever sends next, or within [`POLL`] when nobody does. What the failed one
//! still held is given up, and its senders are told; whether such a record was written is not known, as
//! with any delivery that fails. Senders whose records must not overtake each other use one [`Batch`].
//!
//! **Whether it works** is seen from what is acknowledged ([`DeliveringProducer::trouble`]).

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig};
use tokio::sync::oneshot;

use super::complain;
use super::kafka::is_refusal;

/// How long one poll takes. What is delivered ends no poll and is told at once; a producer that
/// nobody holds any more is dropped after one.
const POLL: Duration = Duration::from_secs(5);
/// The least time between two producers: one that fails at once must not be made in a loop.
const RENEWALS_APART: Duration = Duration::from_secs(1);
/// For so long a record that the broker refused counts against a producer: then it is not known whether it would refuse
/// the next one.
const REFUSED_FOR: Duration = Duration::from_secs(30);
/// How long records may wait without that one is acknowledged.
const SILENCE_LIMIT: Duration = Duration::from_secs(5);

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

/// What is known of the records of one producer.
struct Deliveries {
    started: Instant,
    /// Records that are not settled yet.
    waiting: AtomicI64,
    /// When the last record was acknowledged, or the first of those that wait was sent: milliseconds
    /// since `started`.
    moved_ms: AtomicU64,
    /// The last refusal for want of a right, and when it was; none once a record was acknowledged.
    refused: Mutex<Option<(KafkaError, Instant)>>,
}

impl Deliveries {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            waiting: AtomicI64::new(0),
            moved_ms: AtomicU64::new(0),
            refused: Mutex::new(None),
        }
    }

    fn moved(&self) {
        let elapsed_ms = self.started.elapsed().as_millis() as u64;
        self.moved_ms.store(elapsed_ms, Ordering::Relaxed);
    }

    fn taken(&self) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.moved();
        }
    }

    fn settled(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    fn judge(&self, outcome: &Result<(), KafkaError>) {
        match outcome {
            Ok(()) => {
                self.moved();
                *self.refused() = None;
            }
            Err(error) if is_refusal(error) => *self.refused() = Some((error.clone(), Instant::now())),
            Err(_) => {}
        }
    }

    fn refused(&self) -> MutexGuard<'_, Option<(KafkaError, Instant)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long records have been waiting without an acknowledgement; zero when none waits.
    fn silence(&self) -> Duration {
        if self.waiting.load(Ordering::Relaxed) <= 0 {
            return Duration::ZERO;
        }
        let moved = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(moved)
    }
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        if !complain(&error, reason) {
            tracing::warn!(%error, reason, "a producer reports an error");
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<oneshot::Sender<Result<(), KafkaError>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, sender: Self::DeliveryOpaque) {
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        self.judge(&outcome);
        self.settled();
        // Nobody need wait for it.
        let _ = sender.send(outcome);
    }
}

type Native = BaseProducer<Deliveries>;

struct Shared {
    config: ClientConfig,
    current: ArcSwap<Native>,
    /// When the current one was made.
    renewed: Mutex<Instant>,
}

/// A producer; clones share it.
#[derive(Clone)]
pub struct DeliveringProducer(Arc<Shared>);

/// Sends through one and the same producer: after a record that is not delivered because the producer
/// failed, no later one of the batch is.
pub struct Batch(Arc<Native>);

impl DeliveringProducer {
    /// A producer of these settings, and the thread that takes in its deliveries.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    ///
    /// # Panics
    /// When the system gives no thread.
    pub fn new(config: &ClientConfig) -> Result<Self, KafkaError> {
        let first = Arc::new(native(config)?);
        let shared = Arc::new(Shared {
            config: config.clone(),
            current: ArcSwap::new(Arc::clone(&first)),
            renewed: Mutex::new(Instant::now()),
        });
        shared
            .poll(&first)
            .expect("a process that can start has a thread left for its producer");
        Ok(Self(shared))
    }

    /// Hands a record to the producer.
    ///
    /// # Errors
    /// When it was not taken: `QueueFull`, or it can never be sent. `Fatal` when the producer has failed
    /// and there is no other one yet.
    pub fn send(&self, outbound: Outbound<'_>) -> Result<Delivery, KafkaError> {
        let (sender, receiver) = oneshot::channel();
        let record = record(outbound, sender);
        let used = self.0.current.load_full();
        match send(&used, record) {
            Ok(()) => Ok(Delivery(receiver)),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::Fatal), record)) => {
                self.0.renew(&used);
                let again = send(&self.0.current.load_full(), record);
                again.map(|()| Delivery(receiver)).map_err(|(error, _)| error)
            }
            Err((error, _)) => Err(error),
        }
    }

    /// Sends that may not overtake each other even when the producer fails between them.
    pub fn batch(&self) -> Batch {
        let mut current = self.0.current.load_full();
        if current.client().fatal_error().is_some() {
            self.0.renew(&current);
            current = self.0.current.load_full();
        }
        Batch(current)
    }

    /// Records that were taken and not delivered yet.
    pub fn in_flight(&self) -> i32 {
        self.0.current.load().in_flight_count()
    }

    /// Waits until all records that were taken are delivered or given up. Blocks.
    ///
    /// # Errors
    /// When the limit passes.
    pub fn flush(&self, limit: Duration) -> Result<(), KafkaError> {
        self.0.current.load_full().flush(limit)
    }

    /// Asks a broker about a topic: whether one answers, and shows it.
    ///
    /// # Errors
    /// When none does within the limit, or when this producer may not even see the topic.
    pub fn ask(&self, topic: &str, limit: Duration) -> Result<(), KafkaError> {
        let current = self.0.current.load_full();
        let metadata = current.client().fetch_metadata(Some(topic), limit)?;
        let error = metadata.topics().iter().find_map(|topic| topic.error());
        let refused = error
            .map(|error| KafkaError::MetadataFetch(error.into()))
            .filter(is_refusal);
        refused.map_or(Ok(()), Err)
    }

    /// Why what is sent now would not be acknowledged soon, as far as it is known: the producer has failed,
    /// the broker has just refused a record for want of a right, or records wait and none was acknowledged for some
    /// seconds.
    pub fn trouble(&self) -> Option<String> {
        let current = self.0.current.load_full();
        if let Some((code, reason)) = current.client().fatal_error() {
            self.0.renew(&current);
            return Some(format!("the producer has failed for good ({code}): {reason}"));
        }
        let deliveries = current.context();
        if let Some((error, at)) = &*deliveries.refused()
            && at.elapsed() < REFUSED_FOR
        {
            return Some(format!("what is sent is refused: {error}"));
        }
        let silence = deliveries.silence();
        (silence > SILENCE_LIMIT).then(|| format!("nothing was acknowledged for {} s", silence.as_secs()))
    }
}

impl Batch {
    /// Hands a record to the producer.
    ///
    /// # Errors
    /// As [`DeliveringProducer::send`]; `Fatal` when the batch has to begin again.
    pub fn send(&self, outbound: Outbound<'_>) -> Result<Delivery, KafkaError> {
        let (sender, receiver) = oneshot::channel();
        let sent = send(&self.0, record(outbound, sender));
        sent.map(|()| Delivery(receiver)).map_err(|(error, _)| error)
    }
}

impl Shared {
    /// Puts another producer in the place of one that has failed, unless somebody did or it was only just
    /// made. A producer that cannot be made now is tried again by the next sender.
    fn renew(self: &Arc<Self>, failed: &Arc<Native>) {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&self.current.load(), failed) || renewed.elapsed() < RENEWALS_APART {
            return;
        }
        *renewed = Instant::now();
        let (code, reason) = failed.client().fatal_error().unzip();
        let next = native(&self.config)
            .map(Arc::new)
            .map_err(|error| error.to_string())
            .and_then(|next| self.poll(&next).map(|()| next).map_err(|error| error.to_string()));
        match next {
            Ok(next) => {
                tracing::error!(
                    ?code,
                    reason,
                    "a producer has failed for good; another one takes its place"
                );
                self.current.store(next);
                // Their senders learn it now, and not when the last holder lets go.
                failed.purge(PurgeConfig::default().queue().inflight());
            }
            Err(error) => tracing::error!(
                ?code,
                reason,
                error,
                "no producer takes the place of one that has failed"
            ),
        }
    }

    /// Starts the thread that takes in the deliveries of a producer for as long as somebody holds that.
    fn poll(self: &Arc<Self>, producer: &Arc<Native>) -> std::io::Result<()> {
        let (shared, producer) = (Arc::downgrade(self), Arc::downgrade(producer));
        let polling = move || {
            while let Some(polled) = producer.upgrade() {
                polled.poll(POLL);
                if polled.client().fatal_error().is_some()
                    && let Some(shared) = shared.upgrade()
                {
                    shared.renew(&polled);
                }
            }
        };
        let thread = std::thread::Builder::new().name("deliveries".to_owned());
        thread.spawn(polling).map(drop)
    }
}

fn native(config: &ClientConfig) -> Result<Native, KafkaError> {
    config.create_with_context(Deliveries::new())
}

type Record<'a> = BaseRecord<'a, [u8], [u8], Box<oneshot::Sender<Result<(), KafkaError>>>>;

fn record(outbound: Outbound<'_>, sender: oneshot::Sender<Result<(), KafkaError>>) -> Record<'_> {
    let mut record = BaseRecord::with_opaque_to(outbound.topic, Box::new(sender))
        .key(outbound.key)
        .payload(outbound.value)
        .headers(outbound.headers);
    record.partition = outbound.partition;
    record
}

#[allow(clippy::result_large_err, reason = "a refused record comes back to be sent again")]
fn send<'a>(producer: &Native, record: Record<'a>) -> Result<(), (KafkaError, Record<'a>)> {
    // Before it is taken: its delivery may be told before this returns.
    producer.context().taken();
    producer.send(record).inspect_err(|_| producer.context().settled())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rdkafka::bindings::{rd_kafka_resp_err_t, rd_kafka_test_fatal_error};
    use rdkafka::mocking::MockCluster;
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn producer_of(brokers: &str) -> DeliveringProducer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0");
        DeliveringProducer::new(&config).unwrap()
    }

    fn outbound(value: &[u8]) -> Outbound<'_> {
        Outbound {
            topic: "topic",
            partition: Some(0),
            key: b"key",
            value,
            headers: OwnedHeaders::new(),
        }
    }

    fn fail(producer: &DeliveringProducer) {
        let current = producer.0.current.load_full();
        // SAFETY: the client lives for as long as `current` does, and the reason is a C string.
        let failed = unsafe {
            rd_kafka_test_fatal_error(
                current.client().native_ptr(),
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                c"a test".as_ptr(),
            )
        };
        assert_eq!(failed, rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
        // As old as it needs to be for another one.
        *producer.0.renewed.lock().unwrap() -= RENEWALS_APART;
    }

    #[tokio::test]
    async fn another_producer_takes_the_place_of_one_that_failed() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("topic", 1, 1).unwrap();
        let producer = producer_of(&cluster.bootstrap_servers());
        let delivered = async |sent: Result<Delivery, KafkaError>| {
            timeout(LONG, sent.unwrap().delivered()).await.unwrap().unwrap();
        };
        delivered(producer.send(outbound(b"1"))).await;
        assert_eq!(producer.trouble(), None);

        fail(&producer);
        delivered(producer.send(outbound(b"2"))).await;
        // One that fails again at once is not replaced in a loop.
        let failed = producer.0.current.load_full();
        fail(&producer);
        *producer.0.renewed.lock().unwrap() = Instant::now();
        let refused = producer.send(outbound(b"3")).unwrap_err();
        assert_eq!(refused, KafkaError::MessageProduction(RDKafkaErrorCode::Fatal));
        assert!(producer.trouble().unwrap().contains("a test"));
        assert!(Arc::ptr_eq(&failed, &producer.0.current.load()));
        // A look at it is enough to have it replaced: readiness comes back without a sender.
        *producer.0.renewed.lock().unwrap() -= RENEWALS_APART;
        assert!(producer.trouble().is_some());
        assert_eq!(producer.trouble(), None);
        delivered(producer.send(outbound(b"3"))).await;

        // A batch does not go on with another producer.
        let batch = producer.batch();
        delivered(batch.send(outbound(b"4"))).await;
        fail(&producer);
        delivered(producer.send(outbound(b"5"))).await;
        assert!(batch.send(outbound(b"6")).is_err());
        delivered(producer.batch().send(outbound(b"6"))).await;
    }

    #[test]
    fn a_refusal_counts_until_a_record_is_acknowledged_or_it_is_old() {
        let producer = producer_of("127.0.0.1:1");
        let current = producer.0.current.load_full();
        let deliveries = current.context();
        let denied = || {
            Err(KafkaError::MessageProduction(
                RDKafkaErrorCode::TopicAuthorizationFailed,
            ))
        };
        deliveries.judge(&Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut)));
        assert_eq!(producer.trouble(), None);
        deliveries.judge(&denied());
        assert!(producer.trouble().unwrap().contains("refused"));
        deliveries.judge(&Ok(()));
        assert_eq!(producer.trouble(), None);
        deliveries.judge(&denied());
        if let Some((_, at)) = &mut *deliveries.refused() {
            *at -= REFUSED_FOR;
        }
        assert_eq!(producer.trouble(), None);
    }

    #[tokio::test]
    async fn who_waits_for_a_producer_that_failed_is_told() {
        // Nobody listens there: what is sent waits.
        let producer = producer_of("127.0.0.1:1");
        let waiting = producer.send(outbound(b"1")).unwrap();
        assert_eq!(producer.trouble(), None);
        fail(&producer);
        // Nobody sends: the thread that polls makes the next one.
        assert!(timeout(LONG, waiting.delivered()).await.unwrap().is_err());
        let next = producer.send(outbound(b"2")).unwrap();
        let started = Instant::now();
        while producer.trouble().is_none() {
            assert!(started.elapsed() < LONG, "nobody notices that nothing is acknowledged");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(producer.trouble().unwrap().contains("nothing was acknowledged"));
        drop(next);
    }
}
