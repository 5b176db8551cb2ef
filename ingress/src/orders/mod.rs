//! UC-05 and UC-06: orders. Placed, changed and cancelled by commands; read from the projection.

mod answer;
mod body;
mod change;
mod place;
mod read;
mod repeat;
mod shape;

pub(crate) use answer::{REPLAYED, done, late};
pub use body::{ExecutionBody, OrderBody};
pub use change::{cancel, cancel_all, delete, replace};
pub use place::place;
pub use read::{by_client_id, by_id, list};
