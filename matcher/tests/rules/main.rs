//! The rules of the book, case by case, at the records that a command causes. Each case has a name; the
//! language is explained in `script`.
#![allow(
    clippy::unwrap_used,
    clippy::inconsistent_digit_grouping,
    reason = "a test; cents stand behind dollars"
)]

mod auctions;
mod changes;
#[path = "../common/mod.rs"]
mod common;
mod icebergs;
mod orders;
mod script;
mod stops;
