//! The public channels: quotes, books, trades, candles, statuses.
//!
//! Three readers keep the market up to date: `instruments` is read from its beginning, `market-data`
//! from a snapshot cycle ago, `trades` from its end. A book is known from its first snapshot on (or from
//! its very first change); a listener gets it whole and then every change, numbered without a gap. A
//! change of status has a number too and comes as a change without levels. After a gap listeners get a
//! new snapshot without asking, within the snapshot cycle.
//!
//! In throttled mode quotes, books and candles are conflated: about once a second the current state is
//! sent. Trades cannot be conflated and statuses seldom change: both are sent at once in both modes.
//!
//! A status is about the instrument and about the feed. About once a second it is checked whether a
//! source has fallen silent.

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
