//! The producer against librdkafka's broker for tests, which knows Kafka's protocol by itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use prometheus_client::metrics::histogram::Histogram;
use rdkafka::consumer::Consumer;
use rdkafka::message::{Headers, Message as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{AddError, Producer, Record};
use crate::service::{Drained, PlatformOptions};

const LONG: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 4;

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster(brokers: i32) -> Cluster {
    let cluster = MockCluster::new(brokers).unwrap();
    for topic in ["one", "two"] {
        cluster.create_topic(topic, PARTITIONS, 1).unwrap();
    }
    cluster
}

fn producer(brokers: &str) -> Producer<u32> {
    let platform = PlatformOptions {
        kafka_brokers: brokers.to_owned(),
        schema_registry_url: String::new(),
        schema_registry_ca_file: None,
        schema_registry_credentials: Default::default(),
        schema_dir: None,
        kafka_security: Default::default(),
    };
    Producer::new(&platform, Histogram::new([1.0]))
}

/// Record number `n` goes to one of eight partitions and says its number in key, value and header.
fn add(producer: &mut Producer<u32>, number: u32) -> Result<(), AddError> {
    let bytes = number.to_be_bytes();
    let topic = if number.is_multiple_of(2) { "one" } else { "two" };
    let record = Record {
        topic,
        partition: (number / 2) as i32 % PARTITIONS,
        key: Some(&bytes),
        value: &bytes,
        headers: &[("seq", &bytes)],
    };
    producer.add(number, record)
}

/// Collects until nothing is in flight.
fn settle(producer: &mut Producer<u32>, acknowledged: &mut Vec<u32>) {
    let started = Instant::now();
    while producer.in_flight() > 0 {
        assert!(started.elapsed() < LONG, "{} are in flight", producer.in_flight());
        producer.collect(Duration::from_millis(20), acknowledged).unwrap();
    }
}

/// What stands in each partition, in its order, once `count` records are there in all.
fn written(cluster: &Cluster, count: usize) -> BTreeMap<(String, i32), Vec<u32>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "none");
    let consumer: Drained = config.create().unwrap();
    let mut places = TopicPartitionList::new();
    for topic in ["one", "two"] {
        for partition in 0..PARTITIONS {
            places
                .add_partition_offset(topic, partition, Offset::Beginning)
                .unwrap();
        }
    }
    consumer.assign(&places).unwrap();
    let mut found: BTreeMap<_, Vec<u32>> = BTreeMap::new();
    let started = Instant::now();
    let mut seen = std::collections::BTreeSet::new();
    // What was written twice comes within a moment of the rest.
    while seen.len() < count || consumer.poll(Duration::ZERO).is_some() {
        assert!(started.elapsed() < LONG, "only {} of {count} were written", seen.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message.unwrap();
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
        let value = number(message.payload().unwrap());
        assert_eq!(message.key().map(number), Some(value));
        let header = message.headers().unwrap().get(0);
        assert_eq!((header.key, header.value.map(number)), ("seq", Some(value)));
        seen.insert(value);
        let place = (message.topic().to_owned(), message.partition());
        found.entry(place).or_default().push(value);
    }
    found
}

#[test]
fn all_partitions_of_a_step_go_in_one_request_and_in_order() {
    let cluster = cluster(3);
    let mut producer = producer(&cluster.bootstrap_servers());
    let mut acknowledged = Vec::new();
    for step in 0..10 {
        for number in step * 40..(step + 1) * 40 {
            add(&mut producer, number).unwrap();
        }
        settle(&mut producer, &mut acknowledged);
    }
    acknowledged.sort_unstable();
    assert!(acknowledged.iter().copied().eq(0..400));
    for ((topic, partition), numbers) in written(&cluster, 400) {
        let first = partition as u32 * 2 + u32::from(topic == "two");
        let expected = (first..400).step_by(8);
        assert!(numbers.iter().copied().eq(expected), "{topic}-{partition}: {numbers:?}");
    }
}

#[test]
fn what_was_not_acknowledged_is_sent_again_in_order() {
    let cluster = cluster(1);
    let mut producer = producer(&cluster.bootstrap_servers());
    let mut acknowledged = Vec::new();
    let mut number = 0;
    let mut step = |producer: &mut Producer<u32>, acknowledged: &mut Vec<u32>| {
        for _ in 0..16 {
            add(producer, number).unwrap();
            number += 1;
        }
        producer.collect(Duration::ZERO, acknowledged).unwrap();
        number
    };
    step(&mut producer, &mut acknowledged);
    settle(&mut producer, &mut acknowledged);
    let mut count = 0;
    for _ in 0..5 {
        step(&mut producer, &mut acknowledged);
        // Its connections end, whatever is on them.
        cluster.broker_down(1).unwrap();
        for _ in 0..3 {
            step(&mut producer, &mut acknowledged);
        }
        assert!(producer.in_flight() > 0);
        cluster.broker_up(1).unwrap();
        count = step(&mut producer, &mut acknowledged);
    }
    settle(&mut producer, &mut acknowledged);
    assert!(
        acknowledged.iter().copied().eq(0..count),
        "each is acknowledged once, in order"
    );
    for (place, numbers) in written(&cluster, count as usize) {
        // A reader drops what it has seen; nothing may be missing before what is new to it.
        let mut next = numbers[0];
        for number in numbers {
            assert!(number <= next, "{place:?}: {number} came before {next}");
            next = next.max(number + 8);
        }
    }
}

#[test]
fn a_refusal_ends_it_with_its_reason() {
    let cluster = cluster(1);
    let mut producer = producer(&cluster.bootstrap_servers());
    let mut acknowledged = Vec::new();
    add(&mut producer, 0).unwrap();
    settle(&mut producer, &mut acknowledged);
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
    );
    add(&mut producer, 1).unwrap();
    let started = Instant::now();
    let refused = loop {
        assert!(started.elapsed() < LONG, "nobody refuses");
        if let Err(refused) = producer.collect(Duration::from_millis(20), &mut acknowledged) {
            break refused;
        }
    };
    assert!(
        refused.contains("two-0") && refused.contains("TopicAuthorizationFailed"),
        "{refused}"
    );
    // Answers that come now belong to nothing: whoever asks again is told the same.
    assert_eq!(
        producer.collect(Duration::from_millis(20), &mut acknowledged),
        Err(refused.clone())
    );
    assert_eq!(add(&mut producer, 2), Err(AddError::Refused(refused)));
    assert_eq!(acknowledged, [0]);
}

#[test]
fn a_partition_that_moved_while_another_topic_is_learned_ends_it() {
    let cluster = cluster(2);
    cluster.partition_leader("one", 0, Some(1)).unwrap();
    let mut producer = producer(&cluster.bootstrap_servers());
    let mut acknowledged = Vec::new();
    add(&mut producer, 0).unwrap();
    settle(&mut producer, &mut acknowledged);
    cluster.partition_leader("one", 0, Some(2)).unwrap();
    // Were it taken note of and nothing else, what the former leader was sent would wait for it for ever.
    let Err(AddError::Refused(reason)) = add(&mut producer, 1) else {
        panic!("nobody notices that the partition moved");
    };
    assert!(reason.contains("moved"), "{reason}");
    assert!(producer.collect(Duration::ZERO, &mut acknowledged).is_err());
}

#[test]
fn a_partition_that_moved_ends_it() {
    let cluster = cluster(2);
    cluster.partition_leader("one", 0, Some(1)).unwrap();
    let mut producer = producer(&cluster.bootstrap_servers());
    let mut acknowledged = Vec::new();
    add(&mut producer, 0).unwrap();
    settle(&mut producer, &mut acknowledged);
    cluster.partition_leader("one", 0, Some(2)).unwrap();
    cluster.broker_down(1).unwrap();
    add(&mut producer, 0).unwrap();
    let started = Instant::now();
    while let Ok(()) = producer.collect(Duration::from_millis(20), &mut acknowledged) {
        assert!(started.elapsed() < LONG, "nobody notices that the partition moved");
    }
    assert_eq!(acknowledged, [0], "the second is not acknowledged");
}

#[test]
fn what_waits_is_bounded_and_what_can_never_go_is_refused() {
    let cluster = cluster(1);
    let mut producer = producer(&cluster.bootstrap_servers());
    let mut acknowledged = Vec::new();
    add(&mut producer, 0).unwrap();
    settle(&mut producer, &mut acknowledged);
    cluster.broker_down(1).unwrap();
    let value = vec![0; 200_000];
    let large = |partition| Record {
        topic: "one",
        partition,
        key: None,
        value: &value,
        headers: &[],
    };
    let mut taken = 0;
    let full = loop {
        assert!(taken < 1_000, "it takes everything");
        match producer.add(taken, large(0)) {
            Ok(()) => taken += 1,
            Err(full) => break full,
        }
    };
    assert_eq!(full, AddError::Full);
    assert!(taken >= 1);
    let too_large = vec![0; 2_000_000];
    let unsendable = producer.add(
        0,
        Record {
            value: &too_large,
            ..large(1)
        },
    );
    assert!(matches!(unsendable, Err(AddError::Unsendable(_))), "{unsendable:?}");
    let nowhere = producer.add(0, large(PARTITIONS));
    assert!(matches!(nowhere, Err(AddError::Refused(_))), "{nowhere:?}");
    let unknown = producer.add(
        0,
        Record {
            topic: "three",
            ..large(0)
        },
    );
    assert!(unknown.is_err());
    cluster.broker_up(1).unwrap();
    settle(&mut producer, &mut acknowledged);
    assert_eq!(acknowledged.len() as u32, taken + 1);
}

#[test]
fn nobody_there_is_no_reason_to_give_up() {
    let mut producer = producer("127.0.0.1:1");
    assert!(matches!(add(&mut producer, 0), Err(AddError::Away(_))));
    // It is not asked in a loop.
    let started = Instant::now();
    assert!(matches!(add(&mut producer, 0), Err(AddError::Away(_))));
    assert!(started.elapsed() < Duration::from_millis(20));
    assert_eq!(producer.in_flight(), 0);
}
