//! The ceiling: what Kafka itself can do, measured over three hops that only consume and produce.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use brokerx_client::log::count_partitions;
use brokerx_schemas::{AccountCommand, Message as _};
use brokerx_topics::service::{Drained, PlatformOptions, kafka as clients};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message as _;
use rdkafka::producer::BaseProducer;

use crate::kafka;
use crate::pace::{Load, Pace};
use crate::rounds::Latencies;

const HOPS: usize = 3;

/// The three hops: topics made for them, and the size of a record.
pub struct Ceiling {
    platform: PlatformOptions,
    topics: Vec<String>,
    /// As many as the pipeline has.
    partitions: i32,
    record_bytes: usize,
}

impl Ceiling {
    /// Makes the topics.
    pub async fn prepare(platform: &PlatformOptions, record_bytes: usize) -> anyhow::Result<Self> {
        let partitions = count_partitions(platform, AccountCommand::TOPIC)?;
        let topics: Vec<String> = (0..=HOPS)
            .map(|hop| format!("bench-hop-{hop}-{}", std::process::id()))
            .collect();
        let new: Vec<_> = topics
            .iter()
            .map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(1)))
            .collect();
        for result in admin(platform)?.create_topics(&new, &AdminOptions::new()).await? {
            ensure!(result.is_ok(), "a topic of the ceiling cannot be made: {result:?}");
        }
        Ok(Self {
            platform: platform.clone(),
            topics,
            partitions,
            record_bytes,
        })
    }

    /// Removes the topics.
    pub async fn remove(&self) -> anyhow::Result<()> {
        let names: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        admin(&self.platform)?
            .delete_topics(&names, &AdminOptions::new())
            .await?;
        Ok(())
    }

    /// Latency through the hops at a rate.
    pub async fn latency(&self, rate: u32, seconds: u32) -> anyhow::Result<Latencies> {
        let (latencies, _) = self.run(Load::Paced { rate, seconds }).await?;
        Ok(latencies)
    }

    /// Records a second through the hops, as fast as they go.
    pub async fn drain(&self, records: u32) -> anyhow::Result<f64> {
        let (_, took) = self.run(Load::Drained(records)).await?;
        Ok(f64::from(records) / took.as_secs_f64())
    }

    async fn run(&self, load: Load) -> anyhow::Result<(Latencies, Duration)> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut hops = Vec::new();
        for pair in self.topics.windows(2) {
            let consumer = self.consumer(&pair[0])?;
            let producer = kafka::producer(&self.platform)?;
            let (to, stop) = (pair[1].clone(), Arc::clone(&stop));
            hops.push(tokio::spawn(kafka::blocking(move || {
                hop(&consumer, &producer, &to, &stop)
            })));
        }
        let last = self.consumer(&self.topics[HOPS])?;
        let producer = kafka::producer(&self.platform)?;
        let (topic, bytes, partitions) = (self.topics[0].clone(), self.record_bytes, self.partitions);
        let (pace, records) = load.begin();
        let reader = tokio::spawn(kafka::blocking(move || read(&last, records, pace)));
        let started = Instant::now();
        kafka::blocking(move || {
            let mut value = vec![0; bytes];
            for number in 0..records {
                match pace {
                    Some(pace) => kafka::wait_until(pace.due(number), &producer),
                    None => producer.poll(Duration::ZERO),
                }
                value[..4].copy_from_slice(&number.to_le_bytes());
                kafka::send(
                    &producer,
                    &topic,
                    (number % partitions as u32) as i32,
                    &number.to_le_bytes(),
                    &value,
                )?;
            }
            kafka::drain(&producer)
        })
        .await?;
        let latencies = reader.await??;
        let took = started.elapsed();
        stop.store(true, Ordering::Relaxed);
        for hop in hops {
            hop.await??;
        }
        Ok((latencies, took))
    }

    fn consumer(&self, topic: &str) -> anyhow::Result<Drained> {
        kafka::consumer_at_end(&self.platform, topic, &(0..self.partitions).collect::<Vec<_>>())
    }
}

fn admin(platform: &PlatformOptions) -> anyhow::Result<AdminClient<DefaultClientContext>> {
    Ok(clients::client_config(platform).create()?)
}

fn hop(consumer: &BaseConsumer, producer: &BaseProducer, to: &str, stop: &AtomicBool) -> anyhow::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        if let Some(message) = consumer.poll(Duration::from_millis(10)) {
            let message = message?;
            let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
            kafka::send(producer, to, message.partition(), key, value)?;
        }
        producer.poll(Duration::ZERO);
    }
    kafka::drain(producer)
}

fn read(consumer: &BaseConsumer, records: u32, pace: Option<Pace>) -> anyhow::Result<Latencies> {
    let mut latencies = Latencies::from(pace.map_or_else(Instant::now, |pace| pace.measured_from()));
    let mut last = Instant::now();
    let mut seen = 0;
    while seen < records {
        ensure!(
            last.elapsed() < Duration::from_secs(30),
            "only {seen} of {records} records came through"
        );
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        let Some(Ok(number)) = message
            .payload()
            .and_then(|value| value.get(..4))
            .map(TryInto::try_into)
        else {
            continue;
        };
        if let Some(pace) = pace {
            latencies.record(pace.due(u32::from_le_bytes(number)));
        }
        last = Instant::now();
        seen += 1;
    }
    Ok(latencies)
}
