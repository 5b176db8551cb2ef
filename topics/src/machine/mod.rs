//! A worker is a fold over one log: the discipline, without Kafka.
//!
//! ```text
//! (state, outputs) = apply(state, record at (partition, offset))
//! ```
//!
//! - [`Machine`] is what a worker writes: a pure state machine.
//! - [`Fold`] wraps it in what every machine needs: genesis and configuration, machine time, the
//!   removal of duplicates on the way in and dense numbers on the way out ([`Edges`]).
//! - [`Driver`] decides what a fold may emit and what may be committed or snapshotted.
//!
//! The Kafka runner and the simulation drive the same `Driver`: what the simulation puts under
//! stress is what runs.

mod driver;
mod edges;
mod fold;
mod output;
mod setup;
mod snapshot;
mod traits;

pub use driver::*;
pub use edges::*;
pub use fold::*;
pub use output::*;
pub use setup::*;
pub use snapshot::*;
pub use traits::*;

/// The newest logic version: what the machines of this release decide when a log says so. A new log
/// begins with it; `brokerx-topics config --logic-version` raises an old one. What each version changed is
/// in docs/logic-versions.md.
pub const LOGIC_VERSION: i32 = 4;
