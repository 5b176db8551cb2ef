//! The schema `projection` of PostgreSQL: what the logs say, in tables that can be dropped.
//!
//! The projector of settlement writes it; ingress and notifier read it. Here belongs what none of them
//! owns alone: the tables ([`migrate`]), how far they have come ([`last_event`], [`positions`]), and
//! whether they add up ([`reconciliation`]). A query of one route or one stream belongs beside that
//! route or stream, and how events become rows belongs to the projector.

mod progress;
pub mod reconciliation;
mod tables;

pub use progress::{last_event, positions};
pub use tables::{ensure_current, migrate};
