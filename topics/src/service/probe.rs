//! Whether a broker answers, and acknowledges what it is sent.

use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::error::KafkaError;

use super::{Check, DeliveringProducer, Shutdown, standing_complaint};

const INTERVAL: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(2);

/// Starts a thread that asks the brokers a small question every second and keeps `check` by the answer
/// and by what is known of the producer's own records.
///
/// # Errors
/// When the system gives no thread.
pub fn watch_broker(
    producer: DeliveringProducer,
    topic: &'static str,
    check: Check,
    shutdown: Shutdown,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("kafka-probe".to_owned())
        .spawn(move || {
            while !shutdown.is_requested() {
                let why = |error: KafkaError| standing_complaint().map_or_else(|| error.to_string(), str::to_owned);
                let answered = producer.ask(topic, LIMIT).map_err(why);
                match answered.and_then(|()| producer.trouble().map_or(Ok(()), Err)) {
                    Ok(()) => check.set(true, "a broker answers"),
                    Err(trouble) => check.set(false, &trouble),
                }
                std::thread::sleep(INTERVAL);
            }
        })
}
