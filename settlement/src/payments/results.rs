//! Writes results to `account-commands` and waits until the broker has them.

use brokerx_schemas::{AccountCommand, AccountId, Message, PaymentResult};
use brokerx_topics::codec::Codec;
use brokerx_topics::headers::{Trace, trace_headers};
use brokerx_topics::partition::account_key;
use brokerx_topics::service::{self, PlatformOptions};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

/// Writes as a client does: with the correlation id, without a worker's identity, because results
/// come out of order and the account machine removes duplicates by payment.
#[derive(Clone)]
pub(super) struct ResultWriter {
    producer: FutureProducer,
    codec: Codec,
}

impl ResultWriter {
    pub(super) fn new(platform: &PlatformOptions, codec: Codec) -> Result<Self, KafkaError> {
        let producer = service::kafka::producer_config(platform).create()?;
        Ok(Self { producer, codec })
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
                    let record = FutureRecord::to(AccountCommand::TOPIC)
                        .key(&key)
                        .payload(&value)
                        .headers(trace_headers(trace));
                    let sent = self.producer.send(record, Timeout::Never).await;
                    sent.map(|_| ()).map_err(|(error, _)| error.to_string())
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
