//! Seeded random commands through the machine and through the naive book: equal command by command,
//! also across snapshots.
#![allow(
    clippy::unwrap_used,
    clippy::inconsistent_digit_grouping,
    reason = "a test; cents stand behind dollars"
)]

mod common;

use brokerx_matcher::naive::{NaiveBook, Outcome};
use brokerx_schemas::*;
use brokerx_topics::machine::Emission;
use common::*;

const SEEDS: u64 = 40;
const COMMANDS_PER_SEED: usize = 8_000;

/// How a seed's market behaves.
struct Skew {
    /// Limits lie this many ticks around the reference.
    spread_ticks: i64,
    /// Few accounts trade with themselves often.
    accounts: i64,
    quantity_max: i64,
    aggressive_percent: u64,
    cancel_percent: u64,
}

struct Market {
    random: Random,
    skew: Skew,
    orders: Vec<(i64, i64)>,
    last_order_id: i64,
}

impl Market {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let skew = Skew {
            spread_ticks: random.pick(&[3, 10, 60, 500]),
            accounts: random.pick(&[2, 4, 30]),
            quantity_max: random.pick(&[1, 20, 1_000]),
            aggressive_percent: random.pick(&[5, 20, 50]),
            cancel_percent: random.pick(&[10, 35, 60]),
        };
        Self {
            random,
            skew,
            orders: Vec::new(),
            last_order_id: 0,
        }
    }

    fn price(&mut self, book: &NaiveBook, tick_cents: i64) -> i64 {
        let spread = self.skew.spread_ticks;
        let ticks = book.reference_cents() / tick_cents + self.random.between(-spread, spread);
        let off_tick = if self.random.chance(1) { 1 } else { 0 };
        ticks * tick_cents + off_tick
    }

    fn known_order(&mut self) -> (OrderId, AccountId) {
        if self.orders.is_empty() || self.random.chance(2) {
            return (OrderId(i64::MAX), AccountId(1));
        }
        // Mostly recent ones: older ones have often ended.
        let count = self.orders.len() as i64;
        let back = self.random.between(0, (count - 1).min(60));
        let (order_id, account_id) = self.orders[(count - 1 - back) as usize];
        let other = i64::from(self.random.chance(1));
        (OrderId(order_id), AccountId(account_id + other))
    }

    fn new_order(&mut self, symbol: Symbol, book: &NaiveBook, tick_cents: i64) -> NewOrder {
        self.last_order_id += 1;
        let account_id = self.random.between(1, self.skew.accounts);
        let side = self.random.pick(&[Side::Buy, Side::Sell]);
        let quantity_min = if self.random.chance(1) { 0 } else { 1 };
        let quantity = self.random.between(quantity_min, self.skew.quantity_max);
        let price_cents = self.price(book, tick_cents);
        let mut order = limit(self.last_order_id, account_id, side, price_cents, quantity);
        order.symbol = symbol;
        order.time_in_force = self.random.pick(&[TimeInForce::Gtc, TimeInForce::Day]);
        order.post_only = self.random.chance(10);
        order.self_trade_prevention = self.random.pick(&[
            SelfTradePrevention::CancelIncoming,
            SelfTradePrevention::CancelResting,
            SelfTradePrevention::CancelBoth,
        ]);
        if self.random.chance(self.skew.aggressive_percent) {
            order.time_in_force = self
                .random
                .pick(&[TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::Gtc]);
            order.quantity = self.random.between(1, self.skew.quantity_max * 8);
            if self.random.chance(50) {
                order.order_type = OrderType::Market;
                order.price_cents = None;
                let collar = self.price(book, tick_cents);
                order.collar_price_cents = self.random.chance(80).then_some(collar.max(1));
            }
        }
        if self.random.chance(1) {
            order.order_type = self.random.pick(&[OrderType::Stop, OrderType::StopLimit]);
        }
        self.orders.push((self.last_order_id, account_id));
        order
    }

    fn replace(&mut self, symbol: Symbol, book: &NaiveBook, tick_cents: i64) -> ReplaceBookOrder {
        let (order_id, account_id) = self.known_order();
        let resting = [Side::Buy, Side::Sell]
            .into_iter()
            .flat_map(|side| book.orders(side))
            .find(|order| order.order_id == order_id.0);
        let kept = resting
            .filter(|_| self.random.chance(60))
            .map(|order| order.price_cents);
        let price_cents = kept.unwrap_or_else(|| self.price(book, tick_cents));
        ReplaceBookOrder {
            command_id: CommandId([2; 16]),
            order_id,
            account_id,
            symbol,
            price_cents: Some(price_cents),
            quantity: self.random.between(0, self.skew.quantity_max + 2),
            time_in_force: self
                .random
                .pick(&[TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Day, TimeInForce::Ioc]),
            deadline_us: NEVER_US,
        }
    }
}

/// The machine's answer to a command on one symbol; ends are told by id where the oracle does so.
fn observed(emissions: &[Emission], by_id: bool) -> Outcome {
    let mut outcome = outcome(emissions);
    if by_id {
        outcome.ended.sort_unstable();
        outcome.changes.sort_by_key(|level| (level.side, level.price_cents));
    }
    outcome
}

#[test]
fn equals_the_naive_book() {
    for seed in 0..SEEDS {
        run(seed);
    }
}

fn run(seed: u64) {
    let mut market = Market::new(seed);
    let mut desk = Desk::new();
    let second = ListInstrument {
        symbol: Symbol::new("BRK.B").unwrap(),
        tick_size_cents: 5,
        reference_price_cents: 41_05,
        band_bps: 333,
        ..listing()
    };
    desk.feed(BookCommand::ListInstrument(second.clone()));
    let listings = [listing(), second];
    let mut books = listings
        .clone()
        .map(|listing| NaiveBook::new(Config::default(), &listing));
    let mut sequences = [0_i64; 2];
    for step in 0..COMMANDS_PER_SEED {
        let which = market.random.between(0, 1) as usize;
        let (symbol, tick_cents) = (listings[which].symbol, listings[which].tick_size_cents);
        let book = &mut books[which];
        let session = InstrumentCommand {
            symbol,
            ..instrument_command()
        };
        let mut by_id = false;
        let (command, expected) = match market.random.between(0, 999) {
            0 => {
                book.set_halted(true);
                (BookCommand::HaltInstrument(session), Outcome::default())
            }
            1..=9 => {
                book.set_halted(false);
                (BookCommand::ResumeInstrument(session), Outcome::default())
            }
            10 => {
                by_id = true;
                (BookCommand::CloseSession(session), book.close())
            }
            11..=20 => {
                book.open();
                (BookCommand::OpenSession(session), Outcome::default())
            }
            roll if roll < 20 + 5 * market.skew.cancel_percent as i64 => {
                let (order_id, account_id) = market.known_order();
                let cancel = CancelBookOrder {
                    command_id: CommandId([3; 16]),
                    order_id,
                    account_id,
                    symbol,
                    deadline_us: NEVER_US,
                };
                (BookCommand::CancelBookOrder(cancel), book.cancel(&cancel))
            }
            roll if roll < 20 + 9 * market.skew.cancel_percent as i64 => {
                let replace = market.replace(symbol, book, tick_cents);
                (BookCommand::ReplaceBookOrder(replace), book.replace(&replace))
            }
            _ => {
                let order = market.new_order(symbol, book, tick_cents);
                (BookCommand::NewOrder(order), book.place(&order))
            }
        };
        let said = format!("seed {seed} step {step}: {command:?}");
        let emissions = desk.feed(command);
        assert_eq!(observed(&emissions, by_id), expected, "{said}");
        for emission in &emissions {
            let sequence = match &emission.output.message {
                AnyMessage::MarketData(MarketData::BookUpdate(update)) => update.sequence,
                AnyMessage::MarketData(MarketData::InstrumentStatusChange(change)) => change.sequence,
                _ => continue,
            };
            assert_eq!(sequence, sequences[which] + 1, "{said}");
            sequences[which] = sequence;
        }
        if market.random.chance(1) && market.random.chance(30) {
            desk.restore();
        }
        if step % 200 == 0 {
            desk.tick();
            desk.matcher().book(symbol).unwrap().check_all().unwrap();
        }
    }
    for (book, listing) in books.iter().zip(&listings) {
        for side in [Side::Buy, Side::Sell] {
            let machine = desk.matcher().book(listing.symbol).unwrap();
            for order in book.orders(side) {
                let resting = machine.order(order.order_id).unwrap();
                assert_eq!(resting.leaves, order.leaves, "seed {seed}");
                assert_eq!(
                    resting.price * listing.tick_size_cents,
                    order.price_cents,
                    "seed {seed}"
                );
            }
        }
        let count = book.orders(Side::Buy).len() + book.orders(Side::Sell).len();
        assert_eq!(desk.matcher().book(listing.symbol).unwrap().order_count(), count);
    }
}

/// The same input twice gives the same records and the same hash.
#[test]
fn is_deterministic() {
    let run = || {
        let mut market = Market::new(99);
        let mut desk = Desk::new();
        let book = NaiveBook::new(Config::default(), &listing());
        let mut all = Vec::new();
        for step in 0..5_000 {
            let order = market.new_order(symbol(), &book, 1);
            all.extend(desk.feed(BookCommand::NewOrder(order)));
            if step % 50 == 0 {
                all.extend(desk.tick());
            }
        }
        (all, desk.fold.state_hash())
    };
    assert_eq!(run(), run());
}
