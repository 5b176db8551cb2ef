//! A producer that puts all partitions of a step into one request.
//!
//! A request costs the broker and its client about as much as a dozen records. librdkafka sends one
//! for each partition, from threads of its own; a step of a worker goes to several partitions, so most
//! of what an order cost was requests and switches between threads. This producer speaks Kafka's
//! protocol from the thread that uses it: what was added since the last look goes out in one request
//! to each broker.
//!
//! **What it promises.** While it lives, records of a partition are written in the order in which they
//! were added, none is left out, and each is written at least once: after a connection was lost, all that
//! is not acknowledged is sent again. So a record may be written twice, with what came behind it written
//! twice as well; the reader of a numbered edge drops what it has seen
//! ([`Edges`](crate::machine::Edges)). That is why it needs neither Kafka's idempotence nor its
//! transactions. It is of no use where nobody looks at numbers: see
//! [`DeliveringProducer`](crate::service::DeliveringProducer) for that.
//!
//! What the broker refuses ends it: the error says why, and whoever uses it starts over.

mod batch;
mod connection;
mod leaders;
mod producer;
mod refusals;
mod sasl;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use producer::{AddError, Producer, Record};
