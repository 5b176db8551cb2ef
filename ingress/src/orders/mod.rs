//! UC-05 and UC-06: orders. They are placed, changed and cancelled by commands, and read from the projection.

mod answer;
mod change;
mod path;
mod place;
mod read;
mod repeat;
mod rows;
mod shape;

pub(crate) use answer::{REPLAYED, done, late};
pub use change::{cancel, cancel_all, delete, replace};
pub use place::place;
pub use read::{by_client_id, by_id, list};
