//! Reading a topic without a group and without a machine: from a position on, for as long as the
//! process lives, every partition by every instance.
//!
//! Here belongs what keeps something in memory that may be forgotten at any time: the market, whoever
//! listens to an account, outcomes for waiting requests. What must survive, or must be decided once,
//! is a machine on the [runner](crate::runner) instead.
//!
//! Records of a worker are numbered. The reader judges the numbers, counts them, and hands on what
//! its [`Numbering`] says; a [`Sink`] takes records and nothing else.

mod metrics;
mod reading;
mod sequences;

pub use metrics::ReadMetrics;
pub use reading::{Numbering, Reader, Readers, Record, Sink, Start};
pub use sequences::Sequences;
