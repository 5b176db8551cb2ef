//! `orderbook-rs` from the Rust registry, as its documentation uses it.

use orderbook_rs::OrderBook;
use pricelevel::{Hash32, Id, OrderUpdate, Price, Quantity, Side, TimeInForce};

use super::engine::Engine;
use super::stream::{Action, Command};

/// One book per symbol.
pub struct OrderbookRs {
    books: Vec<OrderBook<()>>,
}

impl Engine for OrderbookRs {
    const NAME: &'static str = "orderbook-rs";
    const COMMANDS_MAX: usize = 300_000;

    fn new(symbols: usize) -> Self {
        Self {
            books: (0..symbols)
                .map(|symbol| OrderBook::new(&format!("S{symbol}")))
                .collect(),
        }
    }

    fn apply(&mut self, command: &Command) -> usize {
        let book = &self.books[command.symbol];
        let id = Id::from_u64(command.order_id);
        let side = if command.buys { Side::Buy } else { Side::Sell };
        let price = u128::from(command.price);
        match command.action {
            Action::Place | Action::Take => {
                let time_in_force = match command.action {
                    Action::Take => TimeInForce::Ioc,
                    _ => TimeInForce::Gtc,
                };
                let placed = book.add_limit_order_with_user_and_result(
                    id,
                    price,
                    command.quantity,
                    side,
                    time_in_force,
                    Hash32::zero(),
                    None,
                );
                match placed {
                    Ok((_, Some(result))) => result.match_result.trades().len(),
                    // To this engine an immediate order that is not filled completely is an error.
                    _ => 0,
                }
            }
            Action::Cancel => {
                let _ = book.cancel_order(id);
                0
            }
            Action::Replace => {
                let _ = book.update_order(OrderUpdate::UpdatePriceAndQuantity {
                    order_id: id,
                    new_price: Price::new(price),
                    new_quantity: Quantity::new(command.quantity),
                });
                0
            }
        }
    }
}
