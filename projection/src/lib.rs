//! The schema `projection` of PostgreSQL: what the logs say, in tables that can be dropped.
//!
//! The projector of settlement writes it; ingress and notifier read it. Here belongs what none of them
//! owns alone: the tables ([`migrate`]), how far they have come ([`last_event`], [`positions`]), and
//! whether they add up ([`reconciliation`]). What one route or one stream selects stands beside it,
//! and how events become rows is the projector's.

mod progress;
pub mod reconciliation;
mod tables;

pub use progress::{last_event, positions};
pub use tables::migrate;
