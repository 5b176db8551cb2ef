//! The public channels: quotes, books, trades.
//!
//! Three readers keep the market: `instruments` from the beginning, `market-data` from a snapshot
//! cycle ago, `trades` from their end. A book is known from its first snapshot on (or its first
//! change ever); a listener gets it whole and then every change, each one higher than the one
//! before. A change of status has a number too and comes as a change without levels. After a gap
//! listeners get a new snapshot without asking, within the snapshot cycle.
//!
//! In throttled mode quotes and books are conflated: about once a second, how things stand now. A
//! trade cannot be conflated and comes at once in both modes.

mod audience;
mod body;
mod feed;
mod state;
#[cfg(test)]
mod tests;
mod window;

pub use feed::{BookFeed, InstrumentFeed, TradeFeed};
pub use state::Market;
