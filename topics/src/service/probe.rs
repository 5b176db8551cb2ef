//! Whether a broker answers.

use std::thread::JoinHandle;
use std::time::Duration;

use super::{Check, DeliveringProducer, Shutdown};

const INTERVAL: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(2);

/// Starts a thread that asks the brokers a small question every second and keeps `check` by it.
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
                match producer.ask(topic, LIMIT) {
                    Ok(()) => check.set(true, "a broker answers"),
                    Err(error) => check.set(false, &error.to_string()),
                }
                std::thread::sleep(INTERVAL);
            }
        })
}
