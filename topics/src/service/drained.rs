//! Consumers that end.
//!
//! rdkafka (0.39) destroys a client before the queue in which its fetched records lie, and librdkafka waits for
//! records that nobody took, for ever: whoever drops such a consumer hangs. So no consumer is made but as a
//! [`Drained`], which takes what was fetched before it is dropped; a test of the structure looks for others.

use std::ops::Deref;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::{ClientConfig, TopicPartitionList};

/// Nothing more comes to a consumer that reads no partition after this.
const LAST_POLL: Duration = Duration::from_millis(100);
/// The same for one that read none when it was asked to end.
const IDLE_POLL: Duration = Duration::from_millis(5);
/// Between two looks into the queue of a consumer that cannot be waited for.
const LOOK: Duration = Duration::from_millis(2);
/// How long records may go on coming; a group may hand over partitions meanwhile.
const LIMIT: Duration = Duration::from_secs(5);

/// A kind of consumer that can be drained.
pub trait Reads {
    /// Reads none any more of the partitions that it reads now. Returns what it may be given, or has to let go.
    fn stop_reading(&self) -> Reading;
    /// Takes a record, or an event, within a time; false when none came.
    fn take(&self, wait: Duration) -> bool;
}

/// What a consumer reads.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whether a group gives it its partitions.
    is_member: bool,
    /// The partitions that it has.
    partitions: Vec<(String, i32)>,
}

impl Reading {
    fn is_idle(&self) -> bool {
        !self.is_member && self.partitions.is_empty()
    }
}

/// A consumer that is drained before it is dropped, which takes a tenth of a second and blocks as long.
#[derive(Debug)]
pub struct Drained<K: Reads = BaseConsumer>(K);

impl<K: Reads> Deref for Drained<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.0
    }
}

impl<K: Reads> Drop for Drained<K> {
    fn drop(&mut self) {
        let mut stopped = self.0.stop_reading();
        let wait = if stopped.is_idle() { IDLE_POLL } else { LAST_POLL };
        let begun = Instant::now();
        loop {
            let took = self.0.take(wait);
            // What was taken may have been the group's word that the consumer has other partitions now, and these
            // are read.
            let reading = self.0.stop_reading();
            if !took && (reading == stopped || reading.is_idle()) {
                return;
            }
            stopped = reading;
            if begun.elapsed() > LIMIT {
                tracing::warn!("records go on coming to a consumer that ends");
                return;
            }
        }
    }
}

impl<K: Reads + Send + 'static> Drained<K> {
    /// Ends a consumer beside the caller, who must not wait for it.
    pub fn retire(self) {
        let ended = std::thread::Builder::new()
            .name("retired".to_owned())
            .spawn(move || drop(self));
        if let Err(error) = ended {
            tracing::warn!(%error, "no thread to end a consumer in");
        }
    }
}

impl<K: Reads + FromClientConfig> FromClientConfig for Drained<K> {
    fn from_config(config: &ClientConfig) -> KafkaResult<Self> {
        K::from_config(config).map(Self)
    }
}

impl<C: ConsumerContext, K: Reads + FromClientConfigAndContext<C>> FromClientConfigAndContext<C> for Drained<K> {
    fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        K::from_config_and_context(config, context).map(Self)
    }
}

/// A member of a group keeps its partitions, which the group takes from it as it leaves, and only reads them no
/// more: what was fetched of a partition that is paused is dropped.
fn stop_reading<C: ConsumerContext>(consumer: &impl Consumer<C>) -> Reading {
    let is_member = consumer.subscription().is_ok_and(|topics| topics.count() > 0);
    let assigned = consumer.assignment().ok().filter(|assigned| assigned.count() > 0);
    let stopped = match &assigned {
        Some(assigned) if is_member => consumer.pause(assigned),
        Some(_) => consumer.unassign(),
        None => Ok(()),
    };
    if let Err(error) = stopped {
        tracing::debug!(%error, "a consumer that ends still reads its partitions");
    }
    let places = assigned.iter().flat_map(TopicPartitionList::elements);
    let mut partitions: Vec<_> = places
        .map(|place| (place.topic().to_owned(), place.partition()))
        .collect();
    partitions.sort_unstable();
    Reading { is_member, partitions }
}

impl<C: ConsumerContext> Reads for BaseConsumer<C> {
    fn stop_reading(&self) -> Reading {
        stop_reading(self)
    }

    fn take(&self, wait: Duration) -> bool {
        self.poll(wait).is_some()
    }
}

impl<C: ConsumerContext + 'static> Reads for StreamConsumer<C> {
    fn stop_reading(&self) -> Reading {
        stop_reading(self)
    }

    fn take(&self, wait: Duration) -> bool {
        let begun = Instant::now();
        loop {
            if self.recv().now_or_never().is_some() {
                return true;
            }
            if begun.elapsed() >= wait {
                return false;
            }
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};

    use rdkafka::ClientContext;
    use rdkafka::Offset;
    use rdkafka::consumer::Rebalance;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

    use super::*;

    const TOPIC: &str = "topic";
    const RECORDS: usize = 2_000;
    /// Far longer than an end takes.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn cluster() -> (MockCluster<'static, DefaultProducerContext>, ClientConfig) {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("group.id", "group")
            .set("auto.offset.reset", "earliest");
        let producer: BaseProducer = config.create().unwrap();
        for _ in 0..RECORDS {
            let record = BaseRecord::<(), _>::to(TOPIC).partition(0).payload("value");
            producer.send(record).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        (cluster, config)
    }

    fn everything() -> TopicPartitionList {
        let mut places = TopicPartitionList::new();
        places.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
        places
    }

    /// Takes one record of what was fetched, and ends the consumer with the rest in its queue.
    fn ends<K: Reads + Send + 'static>(what: &str, consumer: Drained<K>) {
        let started = Instant::now();
        while !consumer.take(Duration::from_millis(100)) {
            assert!(started.elapsed() < PATIENCE, "{what}: nothing came");
        }
        ends_at_once(what, consumer);
    }

    fn ends_at_once<K: Reads + Send + 'static>(what: &str, consumer: Drained<K>) {
        let (sender, ended) = mpsc::channel();
        std::thread::spawn(move || {
            drop(consumer);
            sender.send(()).unwrap();
        });
        ended
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("{what} does not end"));
    }

    #[test]
    fn a_consumer_with_fetched_records_ends() {
        let (_cluster, config) = cluster();
        let assigned: Drained = config.create().unwrap();
        assigned.assign(&everything()).unwrap();
        ends("one that was assigned", assigned);
        let unassigned: Drained = config.create().unwrap();
        unassigned.assign(&everything()).unwrap();
        let started = Instant::now();
        while !unassigned.take(Duration::from_millis(100)) {
            assert!(started.elapsed() < PATIENCE);
        }
        unassigned.unassign().unwrap();
        ends_at_once("one that was unassigned", unassigned);
        let member: Drained = config.create().unwrap();
        member.subscribe(&[TOPIC]).unwrap();
        ends("a member of a group", member);
        let asker: Drained = config.create().unwrap();
        drop(asker);
    }

    /// Whoever is given partitions is kept until there are records of them in its queue.
    #[derive(Clone, Default)]
    struct Slow {
        /// Set once the end of the consumer was asked for.
        ends: Arc<AtomicBool>,
        /// Whether it was given partitions after that.
        was_late: Arc<AtomicBool>,
    }

    impl ClientContext for Slow {}

    impl ConsumerContext for Slow {
        fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
            if matches!(rebalance, Rebalance::Assign(partitions) if partitions.count() > 0) {
                self.was_late.store(self.ends.load(Ordering::SeqCst), Ordering::SeqCst);
                // Nobody tells whether they were fetched. Too short a time only lets the test see less.
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }

    #[test]
    fn a_member_that_is_given_partitions_while_it_ends_ends() {
        let (_cluster, config) = cluster();
        // The group takes some seconds to give partitions; a member that does not poll learns of it as it ends.
        let was_late = [4, 8, 16, 32].into_iter().any(|wait_s| {
            let context = Slow::default();
            let member: Drained<BaseConsumer<Slow>> = config.create_with_context(context.clone()).unwrap();
            member.subscribe(&[TOPIC]).unwrap();
            std::thread::sleep(Duration::from_secs(wait_s));
            context.ends.store(true, Ordering::SeqCst);
            ends_at_once("a member", member);
            context.was_late.load(Ordering::SeqCst)
        });
        assert!(was_late, "the group gave no partitions to a member that ended");
    }

    #[tokio::test]
    async fn a_stream_with_fetched_records_ends() {
        let (_cluster, config) = cluster();
        let assigned: Drained<StreamConsumer> = config.create().unwrap();
        assigned.assign(&everything()).unwrap();
        ends("one that was assigned", assigned);
        let member: Drained<StreamConsumer> = config.create().unwrap();
        member.subscribe(&[TOPIC]).unwrap();
        ends("a member of a group", member);
    }
}
