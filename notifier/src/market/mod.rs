//! The public channels: quotes, books, trades, candles, statuses.
//!
//! Three readers keep the market: `instruments` from the beginning, `market-data` from a snapshot
//! cycle ago, `trades` from their end. A book is known from its first snapshot on (or its first
//! change ever); a listener gets it whole and then every change, each one higher than the one
//! before. A change of status has a number too and comes as a change without levels. After a gap
//! listeners get a new snapshot without asking, within the snapshot cycle.
//!
//! In throttled mode quotes, books and candles are conflated: about once a second, how things stand
//! now. A trade cannot be conflated, a status seldom changes: both come at once in both modes.
//!
//! A status tells of the instrument and of the feed. That a source has fallen silent is found by
//! looking, about once a second.

mod audience;
mod body;
mod candles;
mod feed;
mod state;
#[cfg(test)]
mod tests;
mod window;

pub use feed::TradeFeed;
pub use state::Market;
