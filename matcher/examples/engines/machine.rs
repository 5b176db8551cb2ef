//! The whole machine: checks, candles, hashes, and every record made.

use brokerx_matcher::machine::Matcher;
use brokerx_schemas::{AnyMessage, BookCommand, Config};
use brokerx_topics::machine::{Context, Machine, Outputs, Step};

use super::engine::Engine;
use super::messages::{book_command, listing};
use super::stream::Command;

/// One machine with all symbols.
pub struct Whole {
    matcher: Matcher,
    outputs: Outputs,
    offset: i64,
}

impl Engine for Whole {
    const NAME: &'static str = "machine";

    fn new(symbols: usize) -> Self {
        let mut whole = Self {
            matcher: Matcher::new(&Matcher::trial_setup(Config::default(), 8)),
            outputs: Outputs::default(),
            offset: 0,
        };
        for symbol in 0..symbols {
            whole.feed(BookCommand::ListInstrument(listing(symbol)));
        }
        whole
    }

    fn apply(&mut self, command: &Command) -> usize {
        self.feed(book_command(command))
    }
}

impl Whole {
    fn feed(&mut self, command: BookCommand) -> usize {
        self.offset += 1;
        let now_ms = 1_700_000_000_000 + self.offset / 100;
        let context = Context {
            partition: 0,
            offset: self.offset,
            appended_ms: now_ms,
            now_ms,
        };
        let mut trades = 0;
        let mut step = self.matcher.apply(&context, command, &mut self.outputs);
        loop {
            let sent = self.outputs.drain();
            trades += sent
                .filter(|output| matches!(output.message, AnyMessage::TradeEvent(_)))
                .count();
            if step == Step::Done {
                return trades;
            }
            step = self.matcher.resume(&context, &mut self.outputs);
        }
    }
}
