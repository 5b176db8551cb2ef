//! The oracle of the tests: sorted vectors.

use brokerx_matcher::naive::{NaiveBook, Said};
use brokerx_schemas::{BookCommand, Config};

use super::engine::Engine;
use super::messages::{book_command, listing};
use super::stream::Command;

/// One book per symbol.
pub struct Naive {
    books: Vec<NaiveBook>,
}

impl Engine for Naive {
    const NAME: &'static str = "naive";
    const COMMANDS_MAX: usize = 20_000;

    fn new(symbols: usize) -> Self {
        let book = |symbol| NaiveBook::new(Config::default(), &listing(symbol));
        Self {
            books: (0..symbols).map(book).collect(),
        }
    }

    fn apply(&mut self, command: &Command) -> usize {
        let book = &mut self.books[command.symbol];
        let said = match book_command(command) {
            BookCommand::NewOrder(order) => book.place(&order),
            BookCommand::CancelBookOrder(cancel) => book.cancel(&cancel),
            BookCommand::ReplaceBookOrder(replace) => book.replace(&replace),
            _ => unreachable!("the stream has commands on orders alone"),
        };
        said.iter().filter(|said| matches!(said, Said::Trade(_))).count()
    }
}
