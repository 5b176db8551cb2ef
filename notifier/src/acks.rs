//! Writes clients' acknowledgements to the topic `acks`. For each account only the highest counts, so
//! several in quick succession are written as one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokerx_schemas::{AccountId, AckEvent, Acknowledged, Message};
use brokerx_topics::codec::Codec;
use brokerx_topics::partition::account_key;
use brokerx_topics::service::clock::now_us;
use brokerx_topics::service::{DeliveringProducer, Outbound, Shutdown};
use rdkafka::message::OwnedHeaders;
use tokio::sync::Notify;

use crate::telemetry::AckMetrics;

/// How long acknowledgements are collected.
const COLLECT: Duration = Duration::from_millis(200);
/// How many accounts may have an acknowledgement waiting: more than there are connections.
const ACCOUNTS_MAX: usize = 100_000;
/// How long the last acknowledgements may take when the process stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// Collects acknowledgements.
#[derive(Debug)]
pub struct Acks {
    waiting: Mutex<HashMap<AccountId, i64>>,
    /// Told of each acknowledgement: without any there is nothing to wake up for.
    came: Notify,
    metrics: AckMetrics,
}

impl Acks {
    /// Starts with nothing acknowledged.
    pub fn new(metrics: AckMetrics) -> Self {
        Self {
            waiting: Mutex::default(),
            came: Notify::new(),
            metrics,
        }
    }

    /// Notes that a client has seen its events up to `account_seq`.
    pub fn acknowledge(&self, account_id: AccountId, account_seq: i64) {
        let mut waiting = self.lock();
        if waiting.len() >= ACCOUNTS_MAX && !waiting.contains_key(&account_id) {
            // Kafka cannot be reached. Dropping is safe: the client's next acknowledgement includes this one.
            self.metrics.dropped.inc();
            return;
        }
        let highest = waiting.entry(account_id).or_default();
        *highest = account_seq.max(*highest);
        self.came.notify_one();
    }

    /// Writes what is collected, again and again until the shutdown is requested, and a last time after it.
    pub async fn write(&self, producer: DeliveringProducer, codec: Codec, shutdown: Shutdown) {
        while !shutdown.is_requested() {
            tokio::select! {
                () = self.came.notified() => {}
                () = shutdown.requested() => {}
            }
            tokio::select! {
                () = tokio::time::sleep(COLLECT) => {}
                () = shutdown.requested() => {}
            }
            self.write_waiting(&producer, &codec);
        }
        let drained = tokio::task::spawn_blocking(move || producer.flush(DRAIN_LIMIT));
        if let Ok(Err(error)) = drained.await {
            tracing::warn!(%error, "acknowledgements were not written");
        }
    }

    fn write_waiting(&self, producer: &DeliveringProducer, codec: &Codec) {
        let waiting = std::mem::take(&mut *self.lock());
        let mut value = Vec::new();
        for (account_id, account_seq) in waiting {
            let event = AckEvent::Acknowledged(Acknowledged {
                account_id,
                account_seq,
                acknowledged_us: now_us(),
            });
            value.clear();
            if let Err(error) = codec.encode(&event, &mut value) {
                tracing::error!(%error, "an acknowledgement cannot be encoded");
                continue;
            }
            let key = account_key(account_id);
            let record = Outbound {
                topic: AckEvent::TOPIC,
                partition: None,
                key: &key,
                value: &value,
                headers: OwnedHeaders::new(),
            };
            match producer.send(record) {
                // Nobody waits for its delivery: a later one of the account says more.
                Ok(_) => drop(self.metrics.written.inc()),
                // The producer's queue is full: this one is tried again with the next batch.
                Err(error) => {
                    tracing::debug!(%error, "an acknowledgement waits");
                    self.acknowledge(account_id, account_seq);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, i64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_acknowledgement_of_each_account_counts() {
        let acks = Acks::new(AckMetrics::default());
        for (account, seq) in [(1, 5), (1, 3), (2, 1), (1, 6)] {
            acks.acknowledge(AccountId(account), seq);
        }
        let waiting = acks.lock().clone();
        assert_eq!(waiting, HashMap::from([(AccountId(1), 6), (AccountId(2), 1)]));
    }
}
