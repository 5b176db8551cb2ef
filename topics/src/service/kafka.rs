//! Settings of Kafka clients, each with its reason. What librdkafka logs goes through `tracing`.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Offset};

use super::PlatformOptions;
use crate::codec::VALUE_BYTES_MAX;

/// A value of the largest size with its key and headers.
pub(crate) const MESSAGE_BYTES_MAX: usize = VALUE_BYTES_MAX + 48 * 1024;

/// What all clients have.
pub fn client_config(platform: &PlatformOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &platform.kafka_brokers)
        .set("client.id", "brokerx")
        // A topic that the catalogue does not name is a mistake, never made on the way.
        .set("allow.auto.create.topics", "false")
        .set("socket.nagle.disable", "true")
        .set("socket.keepalive.enable", "true")
        // A broker closes idle connections: that is no news.
        .set("log.connection.close", "false")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "2000")
        .set("retry.backoff.ms", "50")
        .set("retry.backoff.max.ms", "1000")
        .set("message.max.bytes", MESSAGE_BYTES_MAX.to_string());
    platform.kafka_security.apply(&mut config);
    config
}

/// A producer that neither loses, doubles nor reorders within a partition while it lives.
pub fn producer_config(platform: &PlatformOptions) -> ClientConfig {
    let mut config = client_config(platform);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // For ever: a message that times out leaves a gap that librdkafka does not report.
        .set("message.timeout.ms", "0")
        // A request is most of a record's cost: a moment's wait takes load from everybody, and gives
        // more than it takes once there are a thousand orders a second.
        .set("linger.ms", "1")
        .set("queue.buffering.max.messages", "100000")
        .set("queue.buffering.max.kbytes", "65536")
        // The Java client's; librdkafka's own default differs.
        .set("partitioner", "murmur2_random");
    config
}

/// A consumer that commits only what it is told to. A first start of the group begins at the
/// oldest record; a reader that gives every position itself overrides `auto.offset.reset` with `error`.
pub fn consumer_config(platform: &PlatformOptions, group: &str) -> ClientConfig {
    let mut config = client_config(platform);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        // What was written in a transaction is there once it is committed, and never when it is aborted.
        // Our own producers use none; a tool of others may.
        .set("isolation.level", "read_committed")
        // An instance that died is replaced after 2 s (the broker must allow it: group.min.session.timeout.ms).
        .set("session.timeout.ms", "2000")
        .set("heartbeat.interval.ms", "500")
        .set("partition.assignment.strategy", "cooperative-sticky")
        // The broker answers as soon as there is one byte; the wait is only for when there is none. It
        // is no longer than this because a partition that is not in the request, being assigned or
        // after an error, waits for the answer.
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "1000")
        .set("fetch.error.backoff.ms", "100")
        // What is fetched ahead is bounded, and fetching goes on soon after there is room again
        // (the default waits a second).
        .set("queued.min.messages", "10000")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.message.max.bytes", "1048576");
    config
}

/// A consumer off the path of an order: the broker gathers records for so long, or until there are
/// 64 KiB, before it answers. A request costs the broker and its client about as much as a dozen
/// records, and at thousands of records a second an answer to each is most of the load. The price is
/// paid when nothing happens: an empty answer each time the wait is over.
pub fn gathering(mut config: ClientConfig, wait: Duration) -> ClientConfig {
    config
        .set("fetch.min.bytes", "65536")
        .set("fetch.wait.max.ms", wait.as_millis().max(1).to_string());
    config
}

/// The offset behind the last one that came out of a consumer, markers of transactions included, which come
/// out as nothing; none as long as none did. After another assignment it may still be one of the time
/// before, until a record comes.
///
/// # Errors
/// When the consumer was not told to read anything.
pub fn position<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Result<Option<i64>, KafkaError> {
    let positions = consumer.position()?;
    let found = positions.find_partition(topic, partition);
    Ok(found.and_then(|element| match element.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }))
}

/// Whether the broker refuses what a client reads, as a right is missing. librdkafka goes on trying, in vain until
/// the right is there.
pub fn is_refusal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed)
    )
}

/// A time to poll a consumer for, in whole milliseconds, rounded up.
///
/// rdkafka (0.39) cuts what is left of a poll's time to whole milliseconds for librdkafka and asks
/// again until the time is over: it spins through a fraction of a millisecond, each time.
pub fn poll_time(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_takes_whole_milliseconds() {
        let rounded = [0, 1, 999, 1_000, 1_001].map(|us| poll_time(Duration::from_micros(us)).as_millis());
        assert_eq!(rounded, [0, 1, 1, 1, 2]);
    }
}
