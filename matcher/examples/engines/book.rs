//! The book of this crate, with its checks.

use brokerx_matcher::book::{Book, Effects, Event, Incoming, Progress, Replacement, Side, TimeInForce, Trading};

use super::engine::Engine;
use super::stream::{Action, Command};

/// One book per symbol.
pub struct Own {
    books: Vec<Book>,
    effects: Effects,
    last: Vec<Option<i64>>,
}

impl Engine for Own {
    const NAME: &'static str = "book";

    fn new(symbols: usize) -> Self {
        Self {
            books: vec![Book::default(); symbols],
            effects: Effects::default(),
            last: vec![None; symbols],
        }
    }

    fn apply(&mut self, command: &Command) -> usize {
        let book = &mut self.books[command.symbol];
        let effects = &mut self.effects;
        effects.clear();
        let (order_id, account_id) = (command.order_id as i64, command.account_id as i64);
        let (price, quantity) = (command.price as i64, command.quantity as i64);
        match command.action {
            Action::Place | Action::Take => {
                let side = if command.buys { Side::Buy } else { Side::Sell };
                let time_in_force = match command.action {
                    Action::Take => TimeInForce::Ioc,
                    _ => TimeInForce::Gtc,
                };
                let incoming = Incoming {
                    time_in_force,
                    ..Incoming::limit(order_id, account_id, side, price, quantity)
                };
                let Progress::Done(_) = book.place(incoming, effects, usize::MAX) else {
                    unreachable!("there is no limit of events")
                };
            }
            Action::Cancel => {
                book.cancel(order_id, account_id, effects);
            }
            Action::Replace => {
                let terms = Replacement {
                    order_id,
                    account_id,
                    price,
                    quantity,
                    time_in_force: TimeInForce::Gtc,
                };
                let Progress::Done(_) = book.replace(&terms, false, effects, usize::MAX) else {
                    unreachable!("there is no limit of events")
                };
            }
        }
        effects.settle();
        if let Some(Event::Trade { price, .. }) = effects.events.last() {
            self.last[command.symbol] = Some(*price);
        }
        let trading = Trading::Yes {
            last: self.last[command.symbol],
        };
        assert_eq!(book.check(effects.touched(), trading), Ok(()));
        effects.events.len()
    }
}
