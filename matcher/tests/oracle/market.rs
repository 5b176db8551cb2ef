//! Random commands, near the market and sometimes senseless.

use brokerx_matcher::naive::NaiveBook;
use brokerx_schemas::*;

use crate::common::*;

/// How a seed's market behaves.
struct Skew {
    /// Limits lie this many ticks around the reference.
    spread_ticks: i64,
    /// Few accounts trade with themselves often.
    accounts: i64,
    quantity_max: i64,
    aggressive_percent: u64,
    cancel_percent: u64,
    stop_percent: u64,
    iceberg_percent: u64,
    /// Halts and closes in 1,000 commands.
    stoppages: i64,
    collects: [bool; 2],
}

pub struct Market {
    pub random: Random,
    skew: Skew,
    orders: Vec<(i64, i64)>,
    last_order_id: i64,
}

impl Market {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let skew = Skew {
            spread_ticks: random.pick(&[3, 10, 60, 500]),
            accounts: random.pick(&[2, 4, 30]),
            quantity_max: random.pick(&[1, 20, 1_000]),
            aggressive_percent: random.pick(&[5, 20, 50]),
            cancel_percent: random.pick(&[10, 35, 60]),
            stop_percent: random.pick(&[0, 5, 30]),
            iceberg_percent: random.pick(&[0, 10, 50]),
            stoppages: random.pick(&[1, 1, 10]),
            collects: [random.chance(70), random.chance(70)],
        };
        Self {
            random,
            skew,
            orders: Vec::new(),
            last_order_id: 0,
        }
    }

    /// The configuration of the seed.
    pub fn config(&self) -> Config {
        Config {
            collect_while_halted: self.skew.collects[0],
            collect_while_closed: self.skew.collects[1],
            ..Config::default()
        }
    }

    /// The next command on a symbol.
    pub fn command(&mut self, listing: &ListInstrument, book: &NaiveBook) -> BookCommand {
        let (symbol, tick_cents) = (listing.symbol, listing.tick_size_cents);
        let operation = InstrumentCommand {
            symbol,
            ..instrument_command()
        };
        let stoppages = self.skew.stoppages;
        let cancels = 20 * stoppages.min(1) + self.skew.cancel_percent as i64 * 5;
        let replaces = cancels + self.skew.cancel_percent as i64 * 4;
        match self.random.between(0, 999) {
            roll if roll < stoppages => BookCommand::HaltInstrument(operation),
            roll if roll < 2 * stoppages => BookCommand::CloseSession(operation),
            // A stoppage lasts some 30 commands.
            roll if roll < 2 * stoppages + 20 => match self.random.chance(50) {
                true => BookCommand::ResumeInstrument(operation),
                false => BookCommand::OpenSession(operation),
            },
            roll if roll < cancels => {
                let (order_id, account_id) = self.known_order();
                BookCommand::CancelBookOrder(CancelBookOrder {
                    command_id: CommandId([3; 16]),
                    order_id,
                    account_id,
                    symbol,
                    deadline_us: NEVER_US,
                })
            }
            roll if roll < replaces => BookCommand::ReplaceBookOrder(self.replace(symbol, book, tick_cents)),
            _ => BookCommand::NewOrder(self.new_order(symbol, book, tick_cents)),
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
        if self.random.chance(self.skew.iceberg_percent) {
            let shown_max = (quantity / 3).max(1) + i64::from(self.random.chance(1)) * 5_000;
            let shown_min = i64::from(!self.random.chance(1));
            order.display_quantity = Some(self.random.between(shown_min, shown_max));
        }
        if self.random.chance(self.skew.aggressive_percent) {
            self.make_aggressive(&mut order, book, tick_cents);
        }
        if self.random.chance(self.skew.stop_percent) {
            self.make_stop(&mut order, book, tick_cents);
        }
        self.orders.push((self.last_order_id, account_id));
        order
    }

    fn make_aggressive(&mut self, order: &mut NewOrder, book: &NaiveBook, tick_cents: i64) {
        order.time_in_force = self
            .random
            .pick(&[TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::Gtc]);
        order.quantity = self.random.between(1, self.skew.quantity_max * 8);
        order.display_quantity = order.display_quantity.filter(|_| self.random.chance(5));
        if self.random.chance(50) {
            order.order_type = OrderType::Market;
            order.price_cents = None;
            let collar = self.price(book, tick_cents);
            order.collar_price_cents = self.random.chance(80).then_some(collar.max(1));
        }
    }

    fn make_stop(&mut self, order: &mut NewOrder, book: &NaiveBook, tick_cents: i64) {
        let stop_cents = self.price(book, tick_cents);
        order.stop_price_cents = Some(stop_cents);
        order.display_quantity = order.display_quantity.filter(|_| self.random.chance(1));
        order.post_only = self.random.chance(1);
        if self.random.chance(50) || order.order_type == OrderType::Market {
            order.order_type = OrderType::Stop;
            order.price_cents = None;
            order.collar_price_cents = self.random.chance(90).then_some((stop_cents + 20).max(1));
        } else {
            order.order_type = OrderType::StopLimit;
        }
    }

    fn replace(&mut self, symbol: Symbol, book: &NaiveBook, tick_cents: i64) -> ReplaceBookOrder {
        let (order_id, account_id) = self.known_order();
        let resting = [Side::Buy, Side::Sell]
            .into_iter()
            .flat_map(|side| book.orders(side))
            .find(|order| order.order_id == order_id.0);
        let stop = book.stops().iter().find(|stop| stop.order_id == order_id.0);
        let kept = resting
            .filter(|_| self.random.chance(60))
            .map(|order| order.price_cents);
        let mut price_cents = Some(kept.unwrap_or_else(|| self.price(book, tick_cents)));
        if stop.is_some_and(|stop| stop.limit_cents.is_none()) && self.random.chance(90) {
            price_cents = None;
        }
        ReplaceBookOrder {
            command_id: CommandId([2; 16]),
            order_id,
            account_id,
            symbol,
            price_cents,
            quantity: self.random.between(0, self.skew.quantity_max + 2),
            time_in_force: self
                .random
                .pick(&[TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Day, TimeInForce::Ioc]),
            deadline_us: NEVER_US,
        }
    }
}
