//! The market as requests see it: whether a symbol is known, the collar of a market order, and the
//! REST snapshots. Nothing here decides a trade.
//!
//! Instruments, books and heartbeats are in memory ([`Market`]); orders for a book whose partition has
//! no recent heartbeat are refused. Past trades and candles come from the projection.

mod collar;
mod history;
mod reads;
mod snapshots;
mod state;

pub use collar::collar_cents;
pub use history::{candles, trades};
pub use reads::PublicReads;
pub use snapshots::{book, instruments, quote};
pub use state::{Market, Terms};
