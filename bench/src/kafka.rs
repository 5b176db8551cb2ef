//! The Kafka clients of the load, with the settings of the pipeline's own clients.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use brokerx_topics::service::{Drained, PlatformOptions, kafka};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::{Offset, TopicPartitionList};

/// A producer as the workers use it.
pub fn producer(platform: &PlatformOptions) -> anyhow::Result<BaseProducer> {
    Ok(kafka::producer_config(platform).create()?)
}

/// A consumer at the end of some partitions.
pub fn consumer_at_end(platform: &PlatformOptions, topic: &str, partitions: &[i32]) -> anyhow::Result<Drained> {
    let mut config = kafka::consumer_config(platform, "brokerx-bench");
    config.set("fetch.wait.max.ms", "10");
    let consumer: Drained = config.create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in partitions {
        let end = end_of(&consumer, topic, *partition)?;
        assignment.add_partition_offset(topic, *partition, Offset::Offset(end))?;
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}

/// The end of a partition. Asks again while there is none: a new partition has no leader for a moment.
fn end_of(consumer: &BaseConsumer, topic: &str, partition: i32) -> anyhow::Result<i64> {
    let started = Instant::now();
    loop {
        match consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)) {
            Ok((_, end)) => return Ok(end),
            Err(error) if started.elapsed() > Duration::from_secs(10) => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Sends a record; waits while the queue is full.
pub fn send(producer: &BaseProducer, topic: &str, partition: i32, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
    let mut record = BaseRecord::<[u8], [u8]>::to(topic)
        .partition(partition)
        .key(key)
        .payload(value);
    let started = Instant::now();
    while let Err((error, back)) = producer.send(record) {
        ensure!(
            error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::QueueFull),
            "a record was not taken: {error}"
        );
        ensure!(
            started.elapsed() < Duration::from_secs(30),
            "the producer's queue stays full"
        );
        producer.poll(Duration::from_millis(1));
        record = back;
    }
    Ok(())
}

/// Waits until everything is acknowledged.
pub fn drain(producer: &BaseProducer<DefaultProducerContext>) -> anyhow::Result<()> {
    let started = Instant::now();
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
        ensure!(
            started.elapsed() < Duration::from_secs(60),
            "records are not acknowledged"
        );
    }
    Ok(())
}

/// Waits until a moment. Sleeps while it is far away, so that the load leaves the processor to the system.
pub fn wait_until(due: Instant, producer: &BaseProducer) {
    loop {
        producer.poll(Duration::ZERO);
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(Duration::from_millis(1)));
    }
}

/// Runs work on a thread of its own and returns the result, or an error when it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("a thread of the load panicked")?
}
