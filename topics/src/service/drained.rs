//! Consumers that end.
//!
//! rdkafka (0.39) destroys a client before the queue in which its fetched records lie, and librdkafka waits for
//! records that nobody took, for ever: whoever drops such a consumer hangs. So no consumer is made but as a
//! [`Drained`], which takes what was fetched before it is dropped; a test of the structure looks for others.

use std::ops::Deref;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaResult;

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
    /// Reads no partition any more. Returns whether it read any.
    fn stop_reading(&self) -> bool;
    /// Takes a record, or an event, within a time; false when none came.
    fn take(&self, wait: Duration) -> bool;
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
        let wait = if self.0.stop_reading() { LAST_POLL } else { IDLE_POLL };
        let begun = Instant::now();
        while self.0.take(wait) {
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
fn stop_reading<C: ConsumerContext>(consumer: &impl Consumer<C>) -> bool {
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
    is_member || assigned.is_some()
}

impl<C: ConsumerContext> Reads for BaseConsumer<C> {
    fn stop_reading(&self) -> bool {
        stop_reading(self)
    }

    fn take(&self, wait: Duration) -> bool {
        self.poll(wait).is_some()
    }
}

impl<C: ConsumerContext + 'static> Reads for StreamConsumer<C> {
    fn stop_reading(&self) -> bool {
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
    use std::sync::mpsc;

    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
    use rdkafka::{Offset, TopicPartitionList};

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
        let (sender, ended) = mpsc::channel();
        let started = Instant::now();
        while !consumer.take(Duration::from_millis(100)) {
            assert!(started.elapsed() < PATIENCE, "{what}: nothing came");
        }
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
        let (sender, ended) = mpsc::channel();
        std::thread::spawn(move || {
            drop(unassigned);
            sender.send(()).unwrap();
        });
        ended.recv_timeout(PATIENCE).expect("one that was unassigned ends");
        let member: Drained = config.create().unwrap();
        member.subscribe(&[TOPIC]).unwrap();
        ends("a member of a group", member);
        let asker: Drained = config.create().unwrap();
        drop(asker);
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
