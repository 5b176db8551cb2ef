//! Records that name a worker who did not write them.
//!
//! A record that names nobody, or another, is left out by every reader. What a worker with a fault writes is made here
//! instead: under the name of the fold of a partition that its inbox does not have, so that it is told from what a
//! worker wrote. Where Kafka's rights are switched on nobody else can write it.

use std::sync::atomic::{AtomicU64, Ordering};

use brokerx_schemas::{AccountEvent, Message};
use brokerx_topics::headers::worker_headers;
use brokerx_topics::machine::Identity;
use rdkafka::message::OwnedHeaders;

/// No inbox has as many partitions.
const FIRST: u64 = 9_000;

/// The headers of one record to a topic, as the first of a fold of its own; none for a topic where clients write.
pub fn forged_headers<M: Message>() -> Option<OwnedHeaders> {
    static NEXT: AtomicU64 = AtomicU64::new(FIRST);
    let inbox = M::WRITERS.first()?;
    let source = format!("{inbox}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Some(worker_headers(&source, 1, 0, &Default::default()))
}

/// Whether a writer's name was made here.
pub fn is_forged(writer: &Identity) -> bool {
    let number = writer
        .source
        .rsplit_once('-')
        .and_then(|(_, number)| number.parse().ok());
    number.is_some_and(|number: u64| number >= FIRST)
}

/// An event like this of which nothing is published: only who reads `account-events` itself sees it.
pub fn forged(event: &AccountEvent) -> AccountEvent {
    AccountEvent {
        order: None,
        execution: None,
        payment: None,
        transfer: None,
        postings: Vec::new(),
        ..event.clone()
    }
}
