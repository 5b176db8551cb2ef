//! Snapshots: what is in a file, and where the files are.

mod format;
mod schedule;
mod store;

pub use format::{Snapshot, SnapshotEncoder};
pub use schedule::SnapshotSchedule;
pub use store::{Saved, SnapshotStore};
