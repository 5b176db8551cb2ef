//! Writes results to `account-commands` and waits until the broker has them.

use brokerx_schemas::{AccountCommand, AccountId, Message, PaymentResult};
use brokerx_topics::codec::Codec;
use brokerx_topics::headers::{Trace, trace_headers};
use brokerx_topics::partition::account_key;
use brokerx_topics::service::{self, DeliveringProducer, Outbound, PlatformOptions};
use rdkafka::error::KafkaError;

/// Writes as a client does: with the correlation id, without a worker's identity, because results
/// come out of order and the account machine removes duplicates by payment.
#[derive(Clone)]
pub(super) struct ResultWriter {
    producer: DeliveringProducer,
    codec: Codec,
}

impl ResultWriter {
    pub(super) fn new(platform: &PlatformOptions, codec: Codec) -> Result<Self, KafkaError> {
        let producer = DeliveringProducer::new(&service::kafka::producer_config(platform))?;
        Ok(Self { producer, codec })
    }

    /// Why a result would not be acknowledged soon, as far as it is known.
    pub(super) fn trouble(&self) -> Option<String> {
        self.producer.trouble()
    }

    /// Writes until the broker has acknowledged it, however long that takes.
    pub(super) async fn write(&self, account_id: AccountId, result: PaymentResult, trace: &Trace) {
        let payment_id = result.payment_id;
        let command = AccountCommand::PaymentResult(result);
        let key = account_key(account_id);
        let mut backoff = service::backoff();
        loop {
            let mut value = Vec::new();
            let written = match self.codec.encode(&command, &mut value) {
                Ok(()) => {
                    let record = Outbound {
                        topic: AccountCommand::TOPIC,
                        partition: None,
                        key: &key,
                        value: &value,
                        headers: trace_headers(trace),
                    };
                    let delivered = match self.producer.send(record) {
                        Ok(delivery) => delivery.delivered().await,
                        Err(error) => Err(error),
                    };
                    delivered.map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            let Err(error) = written else { return };
            tracing::error!(
                error,
                payment_id = payment_id.0,
                "a payment result was not written; trying again"
            );
            tokio::time::sleep(backoff.next()).await;
        }
    }
}
