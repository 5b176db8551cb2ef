//! What is left to do of a record, in pieces.
//!
//! A record puts its work on a stack; what a piece of work leads to is put on top of it, so it is done
//! before what was waiting. Between records the stack is empty.

use brokerx_schemas::Reason;

use super::entrant::Entrant;
use crate::book::{Incoming, Stop, Ticks};

/// Fills and ends of one step; each is up to three records.
pub const EVENTS_MAX: usize = 256;

/// A piece of work.
#[derive(Debug)]
pub(super) enum Work {
    /// An incoming order has more to trade.
    Sweep {
        listing: usize,
        entrant: Entrant,
        incoming: Incoming,
    },
    /// Orders are ended by the rules, the last of the list first.
    Ends {
        listing: usize,
        order_ids: Vec<i64>,
        cause: Reason,
    },
    /// A book that was collected is uncrossed: at this price, or at one to be found.
    Auction { listing: usize, price: Option<Ticks> },
    /// Stops were triggered and wait to enter.
    Triggered,
    /// A session begins or ends in each listing from this one on.
    Pass { pass: Pass, next: usize },
    /// Days that have ended are told to the accounts.
    Days,
    /// Candles may be over.
    Candles,
    /// Books are still due in this tick's part of the snapshot cycle.
    Snapshots { due: usize },
}

/// What happens to each listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// The session closes.
    Close,
    /// The session ends and the next one begins at once.
    Expire,
    /// The session opens.
    Open,
}

/// A stop that was triggered and waits to enter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Triggered {
    pub listing: usize,
    pub stop: Stop,
    /// The price of the trade that triggered it.
    pub price_cents: i64,
}
