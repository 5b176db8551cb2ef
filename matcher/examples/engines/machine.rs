//! The whole machine: checks, candles, hashes, and every record made.

use brokerx_matcher::machine::Matcher;
use brokerx_schemas::{
    AccountId, AnyMessage, BookCommand, CancelBookOrder, CommandId, Config, NewOrder, OrderId, OrderType,
    ReplaceBookOrder, SelfTradePrevention, Side, Symbol, TimeInForce,
};
use brokerx_topics::machine::{Context, Machine, Outputs, Setup, Step};

use super::Engine;
use super::naive::listing;
use super::stream::{Action, Command};

/// One machine with all symbols.
pub struct Whole {
    matcher: Matcher,
    outputs: Outputs,
    offset: i64,
}

/// The symbol of a number.
pub fn symbol_of(symbol: usize) -> Symbol {
    Symbol::new(&format!("S{symbol}")).expect("a good symbol")
}

/// A command that places as the machine gets it.
pub fn new_order(command: &Command) -> NewOrder {
    NewOrder {
        command_id: CommandId([0; 16]),
        order_id: OrderId(command.order_id as i64),
        account_id: AccountId(command.account_id as i64),
        symbol: symbol_of(command.symbol),
        side: if command.buys { Side::Buy } else { Side::Sell },
        order_type: OrderType::Limit,
        quantity: command.quantity as i64,
        price_cents: Some(command.price as i64),
        stop_price_cents: None,
        collar_price_cents: None,
        time_in_force: match command.action {
            Action::Take => TimeInForce::Ioc,
            _ => TimeInForce::Gtc,
        },
        post_only: false,
        display_quantity: None,
        self_trade_prevention: SelfTradePrevention::CancelIncoming,
        deadline_us: i64::MAX,
    }
}

impl Engine for Whole {
    const NAME: &'static str = "machine";

    fn new(symbols: usize) -> Self {
        let topics = ["account-commands", "trades", "market-data", "instruments", "replies"];
        let setup = Setup {
            log_id: "bench".to_owned(),
            partition: 0,
            generation: 0,
            logic_version: 1,
            config_version: 1,
            config: Config::default(),
            topics: topics.map(|topic| (topic.to_owned(), 8)).to_vec(),
        };
        let mut whole = Self {
            matcher: Matcher::new(&setup),
            outputs: Outputs::default(),
            offset: 0,
        };
        for symbol in 0..symbols {
            whole.feed(BookCommand::ListInstrument(listing(symbol_of(symbol))));
        }
        whole
    }

    fn apply(&mut self, command: &Command) -> usize {
        let symbol = symbol_of(command.symbol);
        let (order_id, account_id) = (OrderId(command.order_id as i64), AccountId(command.account_id as i64));
        let command_id = CommandId([0; 16]);
        self.feed(match command.action {
            Action::Place | Action::Take => BookCommand::NewOrder(new_order(command)),
            Action::Cancel => BookCommand::CancelBookOrder(CancelBookOrder {
                command_id,
                order_id,
                account_id,
                symbol,
                deadline_us: i64::MAX,
            }),
            Action::Replace => BookCommand::ReplaceBookOrder(ReplaceBookOrder {
                command_id,
                order_id,
                account_id,
                symbol,
                price_cents: Some(command.price as i64),
                quantity: command.quantity as i64,
                time_in_force: TimeInForce::Gtc,
                deadline_us: i64::MAX,
            }),
        })
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
