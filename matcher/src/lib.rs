//! The matcher: one order book per symbol, matched by price, then time.
//!
//! - [`book`]: the book itself, in whole ticks and without any message: price-time priority, partial
//!   fills, immediate orders, post-only, icebergs, stops, self-trade prevention, replace, call
//!   auctions. It knows no clock, no session and no account beyond its number.
//! - [`machine`]: the fold over `book-commands`: instruments, their sessions and calendar, the
//!   checks that a command meets, candles, and the records that follow on `account-commands`,
//!   `trades`, `market-data`, `instruments` and `replies`.
//! - [`cli`]: the machine on the command line, without Kafka.
//! - [`naive`]: the rules once more, as plainly as they can be written: the oracle of the tests.
//!
//! The process of the same name ([`start`]) only drives [`machine::Matcher`] over Kafka.

pub mod book;
pub mod cli;
pub mod machine;
#[doc(hidden)]
pub mod naive;
pub mod start;
