//! The commands of the stream as a matcher gets them.

use brokerx_schemas::{
    AccountId, BookCommand, CancelBookOrder, CommandId, CommandMeta, ListInstrument, NewOrder, OrderId, OrderType,
    ReplaceBookOrder, SelfTradePrevention, Side, Symbol, TimeInForce,
};

use super::stream::{Action, Command};

/// Lists the symbol of this number, with a band that is wide enough for every order of the stream.
pub fn listing(symbol: usize) -> ListInstrument {
    ListInstrument {
        meta: CommandMeta {
            command_id: CommandId([0; 16]),
            reply_to: None,
            deadline_us: i64::MAX,
        },
        operator: String::new(),
        idempotency_key: None,
        symbol: symbol_of(symbol),
        name: "Trial".to_owned(),
        tick_size_cents: 1,
        reference_price_cents: 100_000,
        band_bps: 1_000,
    }
}

/// A command as a message.
pub fn book_command(command: &Command) -> BookCommand {
    let command_id = CommandId([0; 16]);
    let (order_id, account_id) = (OrderId(command.order_id as i64), AccountId(command.account_id as i64));
    let symbol = symbol_of(command.symbol);
    match command.action {
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
    }
}

fn symbol_of(symbol: usize) -> Symbol {
    Symbol::new(&format!("S{symbol}")).expect("a good symbol")
}

fn new_order(command: &Command) -> NewOrder {
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
