//! Settlement: accounts, what they may do, and what happened to them.
//!
//! - [`account`]: the account machine. Folds `account-commands`; reserves, forwards to the books,
//!   books fills, answers; writes `account-events`.
//! - [`publisher`]: a machine on `account-events` that makes the public topics `orders`,
//!   `deposits` and `ledger`.
//! - [`projector`]: writes `account-events`, `trades`, `auth` and candles to PostgreSQL.
//! - [`payments`]: carries pending payments to the provider and its answers back.
//! - [`start`]: puts the parts together into one process.
//! - [`provider`]: a simulated payment provider, for the local system and tests.

pub mod account;
pub mod payments;
pub mod projector;
pub mod provider;
pub mod publisher;
pub mod start;
