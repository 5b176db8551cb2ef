//! The market as this instance sees it: instruments, books, heartbeats.
//!
//! Two readers keep it: `instruments` from its beginning, `market-data` from a snapshot cycle ago.
//! Nothing here decides a trade. It answers whether a symbol is known, what a market order's collar
//! is, and the REST snapshots; trades and candles of the past come from the projection. A partition is live while its last heartbeat is young; books of a
//! partition that is not live are shown as degraded and orders for them are refused.

mod body;
mod book;
mod candle;
mod collar;
mod feed;
mod history;
mod http;
mod state;

pub use body::{InstrumentBody, QuoteBody, StatusBody};
pub use book::{Applied, Book};
pub use candle::{CandleBody, interval_name, interval_of};
pub use collar::collar_cents;
pub use feed::{InstrumentFeed, MarketFeed, SNAPSHOT_CYCLE_MARGIN};
pub use history::{candles, trades};
pub use http::{book, instruments, quote};
pub use state::{Market, Terms};
