//! Reading topics without a group: from a position on, for as long as the process lives.

mod probe;
mod reader;
mod sequences;

pub use probe::watch_broker;
pub use reader::{Partitions, Reader, Record, Sink, Start};
pub use sequences::Sequences;
