//! Whether a broker answers.

use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::producer::{FutureProducer, Producer};

use super::{Check, Shutdown};

const INTERVAL: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(2);

/// Starts a thread that asks the brokers a small question every second and keeps `check` by it.
///
/// # Errors
/// When the system gives no thread.
pub fn watch_broker(
    producer: FutureProducer,
    topic: &'static str,
    check: Check,
    shutdown: Shutdown,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("kafka-probe".to_owned())
        .spawn(move || {
            while !shutdown.is_requested() {
                match producer.client().fetch_metadata(Some(topic), LIMIT) {
                    Ok(_) => check.set(true, "a broker answers"),
                    Err(error) => check.set(false, &error.to_string()),
                }
                std::thread::sleep(INTERVAL);
            }
        })
}
