//! Writes letters that will not be delivered to the dead letters.

use std::time::Duration;

use anyhow::Context;
use brokerx_schemas::{AuthEvent, DeadLetter, DeadLetterHeader, Message, UnusableRecord};
use brokerx_topics::codec::Codec;
use brokerx_topics::headers::trace_headers;
use brokerx_topics::hexadecimal::hexadecimal;
use brokerx_topics::service::{DeliveringProducer, Outbound};
use tokio::time::timeout;

use super::desk::Request;

/// How long Kafka may take to acknowledge one; then it is tried again, and may be there twice.
const LIMIT: Duration = Duration::from_secs(10);

/// Writes to the topic `dead-letters`.
#[derive(Clone)]
pub(super) struct Burial {
    pub(super) producer: DeliveringProducer,
    pub(super) codec: Codec,
}

impl Burial {
    /// Writes the record that asked for a letter, whole, with the reason; returns once Kafka has it.
    pub(super) async fn bury(&self, request: &Request, reason: &str) -> anyhow::Result<()> {
        let mut value = Vec::new();
        self.codec.encode(&dead_letter(request, reason), &mut value)?;
        let key = format!("{}-{}", AuthEvent::TOPIC, request.partition);
        let sent = self.producer.send(Outbound {
            topic: DeadLetter::TOPIC,
            partition: None,
            key: key.as_bytes(),
            value: &value,
            headers: trace_headers(&request.trace),
        })?;
        let acknowledged = timeout(LIMIT, sent.delivered()).await;
        acknowledged.context("Kafka does not acknowledge it")??;
        Ok(())
    }
}

fn dead_letter(request: &Request, reason: &str) -> DeadLetter {
    let headers = request.headers.iter().map(|(name, value)| DeadLetterHeader {
        name: name.clone(),
        value: String::from_utf8_lossy(value).into_owned(),
    });
    DeadLetter::UnusableRecord(UnusableRecord {
        topic: AuthEvent::TOPIC.to_owned(),
        partition: request.partition,
        offset: request.offset,
        reason: format!("mail {}: {reason}", request.mail_id),
        key_hex: Some(hexadecimal(&request.key)),
        value_hex: Some(hexadecimal(&request.value)),
        headers: headers.collect(),
        appended_ms: request.appended_ms,
    })
}
