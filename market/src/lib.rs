//! The market as a fold of `instruments` and `market-data`, held in memory by whoever shows it.
//!
//! Here belongs what every reader of the two topics must do alike: keep books from snapshots and
//! increments ([`Book`]), know which instruments there are and which partition shows signs of life
//! ([`View`]), and read the topics into a holder of a view ([`spawn`]). Nothing here decides a trade; the
//! order book that does is the matcher's.
//!
//! What a process does with a view is its own: the ingress answers requests and makes collars from it,
//! the notifier tells its listeners of changes. Both put a lock of their choice around one and
//! implement [`Keeper`]. The past, trades and closed candles, is in the projection.

mod book;
mod feed;
mod keeper;
mod options;
mod view;

pub use book::{Applied, Book};
pub use feed::{Readiness, spawn};
pub use keeper::Keeper;
pub use options::MarketOptions;
pub use view::View;
