//! What is left to do of a record, a step's worth at a time.
//!
//! A record puts its work on a stack; what a piece of work leads to is put on top of it, so it is done
//! before what was waiting. A step ends when enough records are waiting to be sent, or enough pieces
//! were done; between records the stack is empty.

use brokerx_schemas::Reason;
use brokerx_topics::machine::{Context, Outputs, Step};

use super::Matcher;
use super::orders::Entrant;
use super::sessions::Pass;
use crate::book::{Incoming, Ticks};

/// A step ends when this many records wait to be sent.
const OUTPUTS_MAX: usize = 512;
/// A step ends after this many pieces of work, however little they sent.
const PIECES_MAX: usize = 1_024;

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

impl Matcher {
    /// Works until the record is done or the step is full.
    pub(super) fn work(&mut self, context: &Context, outputs: &mut Outputs) -> Step {
        let mut pieces = 0;
        while let Some(work) = self.work.pop() {
            self.do_piece(work, context, outputs);
            pieces += 1;
            if (outputs.len() >= OUTPUTS_MAX || pieces >= PIECES_MAX) && !self.work.is_empty() {
                return Step::More;
            }
        }
        Step::Done
    }

    fn do_piece(&mut self, work: Work, context: &Context, outputs: &mut Outputs) {
        match work {
            Work::Sweep {
                listing,
                entrant,
                incoming,
            } => self.proceed(context, listing, entrant, incoming, outputs),
            Work::Ends {
                listing,
                order_ids,
                cause,
            } => self.end_orders(context, listing, order_ids, cause, outputs),
            Work::Auction { listing, price } => self.uncross(context, listing, price, outputs),
            Work::Triggered => self.enter_triggered(context, outputs),
            Work::Pass { pass, next } => self.pass_on(context, pass, next, outputs),
            Work::Days => self.close_day(context, outputs),
            Work::Candles => self.close_candles(context, outputs),
            Work::Snapshots { due } => self.write_snapshots(context, due, outputs),
        }
    }
}
