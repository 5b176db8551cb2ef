//! What every worker stands on: topics, the codec, and the runner that drives the machines.
//!
//! - [`machine`]: the discipline of a pure state machine over one inbox, without Kafka: the trait,
//!   dense edges, the fold, and the driver that decides what may be committed.
//! - [`runner`]: drives machines over Kafka: ownership, data, sends, ticks, commits, snapshots.
//! - [`catalogue`]: the topics as reviewed data.
//! - [`codec`]: Avro in the Confluent wire format; ids resolved once and cached.
//! - [`headers`]: identity and correlation of a record.
//! - [`hexadecimal`]: bytes as text.
//! - [`partition`]: which partition a key belongs to, the same as the Java client's.
//! - [`passes`]: offsets that every reader passes, because somebody decided so.
//! - [`reader`]: reads a topic into memory that may be forgotten: no group, no machine.
//! - [`service`]: what every process has: options, logs, metrics, health, a graceful stop.
//! - [`apply`]: makes a cluster what the catalogue says, and tells where it is not.
//! - [`command`]: `apply`, `tail` and the rest on the command line.
//! - [`wire`]: a producer for the runner, which sends to all partitions in one request.
//! - [`tail`]: shows the records of a topic to people.

pub mod apply;
pub mod catalogue;
pub mod codec;
pub mod command;
pub mod headers;
pub mod hexadecimal;
pub mod machine;
pub mod partition;
pub mod passes;
pub mod reader;
pub mod runner;
pub mod service;
pub mod tail;
pub mod wire;
