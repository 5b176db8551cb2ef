//! The account machine and the publisher, driven through the fold as the runner drives them.
#![allow(clippy::unwrap_used)]
#![allow(clippy::inconsistent_digit_grouping, reason = "amounts are written as dollars_cents")]

mod accounts;
mod bench;
mod book;
mod clients;
mod desk;
mod freezes;
mod frozen;
mod idempotency;
mod memory;
mod oracle;
mod orders;
mod payments;
mod properties;
mod publisher;
mod races;
mod random;
mod replaces;
