//! Working off the stack, a step's worth at a time.
//!
//! A step ends when enough records wait to be sent, or enough pieces of work are done.

use brokerx_topics::machine::{Context, Outputs, Step};

use super::state::Matcher;
use super::work::Work;

/// A step ends when this many records wait to be sent.
const OUTPUTS_MAX: usize = 512;
/// A step ends after this many pieces of work, however little they sent.
const PIECES_MAX: usize = 1_024;

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
