//! The market as a fold of `instruments` and `market-data`, held in memory by whoever shows it.
//!
//! Here belongs what every reader of the two topics must do in the same way: build books from snapshots
//! and increments ([`Book`]), know which instruments there are and which partitions show signs of life
//! ([`View`]), and read the topics into whatever holds a view ([`spawn`]). Nothing here decides a trade;
//! the order book that does belongs to the matcher.
//!
//! What a process does with a view is its own business: the ingress answers requests and sets collars
//! from it, the notifier tells its listeners about changes. Each of the two puts a lock of its choice
//! around a view and implements [`Keeper`] for it. Past trades and closed candles are in the projection.

mod book;
mod feed;
mod keeper;
mod options;
mod view;

pub use book::{Applied, Book};
pub use feed::{Readiness, spawn};
pub use keeper::Keeper;
pub use options::MarketOptions;
pub use view::{BookVersion, View};
