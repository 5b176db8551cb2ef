//! The oracle of the tests: sorted vectors.

use brokerx_matcher::naive::{NaiveBook, Said};
use brokerx_schemas::{
    AccountId, CancelBookOrder, CommandId, CommandMeta, Config, ListInstrument, OrderId, ReplaceBookOrder, Symbol,
    TimeInForce,
};

use super::Engine;
use super::machine::{new_order, symbol_of};
use super::stream::{Action, Command};

/// One book per symbol.
pub struct Naive {
    books: Vec<NaiveBook>,
}

/// A listing of a symbol whose band is no obstacle.
pub fn listing(symbol: Symbol) -> ListInstrument {
    ListInstrument {
        meta: CommandMeta {
            command_id: CommandId([0; 16]),
            reply_to: None,
            deadline_us: i64::MAX,
        },
        operator: String::new(),
        idempotency_key: None,
        symbol,
        name: "Trial".to_owned(),
        tick_size_cents: 1,
        reference_price_cents: 100_000,
        band_bps: 1_000,
    }
}

impl Engine for Naive {
    const NAME: &'static str = "naive";
    const COMMANDS_MAX: usize = 20_000;

    fn new(symbols: usize) -> Self {
        let book = |symbol| NaiveBook::new(Config::default(), &listing(symbol_of(symbol)));
        Self {
            books: (0..symbols).map(book).collect(),
        }
    }

    fn apply(&mut self, command: &Command) -> usize {
        let book = &mut self.books[command.symbol];
        let symbol = symbol_of(command.symbol);
        let (order_id, account_id) = (OrderId(command.order_id as i64), AccountId(command.account_id as i64));
        let said = match command.action {
            Action::Place | Action::Take => book.place(&new_order(command)),
            Action::Cancel => book.cancel(&CancelBookOrder {
                command_id: CommandId([0; 16]),
                order_id,
                account_id,
                symbol,
                deadline_us: i64::MAX,
            }),
            Action::Replace => book.replace(&ReplaceBookOrder {
                command_id: CommandId([0; 16]),
                order_id,
                account_id,
                symbol,
                price_cents: Some(command.price as i64),
                quantity: command.quantity as i64,
                time_in_force: TimeInForce::Gtc,
                deadline_us: i64::MAX,
            }),
        };
        said.iter().filter(|said| matches!(said, Said::Trade(_))).count()
    }
}
