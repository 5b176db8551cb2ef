//! A million resting orders and ten thousand symbols in one process, with the bytes that they take:
//! `cargo run --release -p brokerx-matcher --example memory`.

#[path = "engines/allocations.rs"]
mod allocations;

use std::time::Instant;

use brokerx_matcher::machine::Matcher;
use brokerx_schemas::{
    AccountId, BookCommand, CommandId, CommandMeta, Config, ListInstrument, NewOrder, OrderId, OrderType,
    SelfTradePrevention, Side, Symbol, TimeInForce,
};
use brokerx_topics::machine::{Context, Machine, Outputs, Step};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

const SYMBOLS: i64 = 10_000;
const ORDERS: i64 = 1_000_000;

fn main() {
    let mut matcher = Matcher::new(&Matcher::trial_setup(Config::default(), 8));
    let mut outputs = Outputs::default();
    let mut offset = 0;
    let mut feed = |matcher: &mut Matcher, command| {
        offset += 1;
        let context = Context {
            partition: 0,
            offset,
            appended_ms: 1_700_000_000_000,
            now_ms: 1_700_000_000_000,
        };
        assert_eq!(matcher.apply(&context, command, &mut outputs), Step::Done);
        drop(outputs.drain());
    };
    let before = allocations::bytes();
    for index in 0..SYMBOLS {
        feed(&mut matcher, list(index));
    }
    let listed = allocations::bytes();
    let start = Instant::now();
    for order_id in 0..ORDERS {
        feed(&mut matcher, place(order_id));
    }
    let elapsed = start.elapsed();
    let placed = allocations::bytes();
    let resting: usize = (0..SYMBOLS)
        .filter_map(|index| matcher.book(symbol(index)))
        .map(|book| book.order_count())
        .sum();
    println!("{SYMBOLS} symbols: {} bytes each", (listed - before) / SYMBOLS);
    println!(
        "{resting} resting orders, placed in {elapsed:?}: {} bytes each with levels and index",
        (placed - listed) / ORDERS
    );
    println!("{} MB in all", (placed - before) / 1_000_000);
}

fn symbol(index: i64) -> Symbol {
    Symbol::new(&format!("S{index}")).expect("a good symbol")
}

fn list(index: i64) -> BookCommand {
    BookCommand::ListInstrument(ListInstrument {
        meta: CommandMeta {
            command_id: CommandId([0; 16]),
            reply_to: None,
            deadline_us: i64::MAX,
        },
        operator: String::new(),
        idempotency_key: None,
        symbol: symbol(index),
        name: format!("Company {index}"),
        tick_size_cents: 1,
        reference_price_cents: 10_000,
        band_bps: 500,
    })
}

/// Bids and asks over 200 ticks on each side.
fn place(order_id: i64) -> BookCommand {
    let away = 1 + order_id / SYMBOLS * 7 % 200;
    let buys = order_id / SYMBOLS % 2 == 0;
    BookCommand::NewOrder(NewOrder {
        command_id: CommandId([0; 16]),
        order_id: OrderId(order_id),
        account_id: AccountId(order_id % 1_000),
        symbol: symbol(order_id % SYMBOLS),
        side: if buys { Side::Buy } else { Side::Sell },
        order_type: OrderType::Limit,
        quantity: 1 + order_id % 100,
        price_cents: Some(if buys { 10_000 - away } else { 10_000 + away }),
        stop_price_cents: None,
        collar_price_cents: None,
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        display_quantity: None,
        self_trade_prevention: SelfTradePrevention::CancelIncoming,
        deadline_us: i64::MAX,
    })
}
