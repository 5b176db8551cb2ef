//! One machine with one instrument.

use brokerx_schemas::{
    AccountId, BookCommand, CancelBookOrder, CommandId, CommandMeta, Config, Instrument, InstrumentCommand,
    InstrumentStatus, NewOrder, OrderId, OrderType, ReplaceBookOrder, SelfTradePrevention, Symbol, TimeInForce,
};
use brokerx_topics::machine::{Context, Machine, Outputs, Step};

use super::answer::Answer;
use super::command::{Line, Op, SelfTrade, Side, Stay, Type};
use crate::book::{self, Book};
use crate::machine::Matcher;

/// The highest price of an order, in ticks.
const PRICE_MAX: i64 = 1_000_000_000_000;

/// What the machine is told about the market.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// How far a limit may be from the last trade, in basis points; 0 for no band.
    pub band_bps: i32,
    /// How far a market order may trade from the last trade, and a stop from its stop price, in basis
    /// points; none for no collar.
    pub collar_bps: Option<i32>,
    /// What bands and collars are measured from before the first trade, in ticks; 0 for nothing.
    pub reference: i64,
    /// The least share of its quantity that an iceberg shows, in percent; 0 for no bound.
    pub display_percent_min: i32,
    /// Whether orders are collected while halted, or refused.
    pub collect_while_halted: bool,
    /// Whether orders are collected while closed, or refused.
    pub collect_while_closed: bool,
}

/// A machine that is fed lines.
#[derive(Debug)]
pub struct Desk {
    matcher: Matcher,
    symbol: Symbol,
    collar_bps: Option<i32>,
    offset: i64,
    outputs: Outputs,
    answer: Answer,
}

impl Desk {
    /// A machine with an empty book.
    ///
    /// # Panics
    /// Never: the symbol is a good one.
    pub fn new(rules: Rules) -> Self {
        let symbol = Symbol::new("TRIAL").expect("a good symbol");
        let config = Config {
            price_cents_min: 1,
            price_cents_max: PRICE_MAX,
            display_percent_min: rules.display_percent_min,
            collect_while_halted: rules.collect_while_halted,
            collect_while_closed: rules.collect_while_closed,
            ..Config::default()
        };
        let instrument = Instrument {
            symbol,
            name: "Trial".to_owned(),
            tick_size_cents: 1,
            reference_price_cents: rules.reference,
            band_bps: rules.band_bps,
            status: InstrumentStatus::Open,
            version: 1,
            listed_us: 0,
            updated_us: 0,
        };
        Self {
            matcher: Matcher::for_trials(&Matcher::trial_setup(config, 1), instrument),
            symbol,
            collar_bps: rules.collar_bps,
            offset: 0,
            outputs: Outputs::default(),
            answer: Answer::default(),
        }
    }

    /// The book as it stands.
    ///
    /// # Panics
    /// Never: the instrument is listed.
    pub fn book(&self) -> &Book {
        self.matcher.book(self.symbol).expect("the instrument is listed")
    }

    /// Carries out a line and appends its answer.
    pub fn answer(&mut self, line: &Line, into: &mut Vec<u8>) {
        let command = self.command(line);
        self.offset += 1;
        let context = Context {
            partition: 0,
            offset: self.offset,
            appended_ms: 0,
            now_ms: 0,
        };
        self.answer.clear();
        let mut step = self.matcher.apply(&context, command, &mut self.outputs);
        self.answer.take(&mut self.outputs);
        while step == Step::More {
            step = self.matcher.resume(&context, &mut self.outputs);
            self.answer.take(&mut self.outputs);
        }
        let book = self.matcher.book(self.symbol).expect("the instrument is listed");
        match (line.op, line.id) {
            (Op::New | Op::Replace | Op::Cancel, Some(id)) => self.answer.write_order(id, book, into),
            _ => {
                let status = self.matcher.instrument(self.symbol).map(|instrument| instrument.status);
                self.answer.write_operation(line.op, status, book, into);
            }
        }
    }

    /// The command that a line asks for; the fields that it needs are there.
    fn command(&self, line: &Line) -> BookCommand {
        let (order_id, account_id) = (OrderId(line.id.unwrap_or(0)), AccountId(line.account.unwrap_or(0)));
        let command_id = CommandId([0; 16]);
        let deadline_us = i64::MAX;
        let symbol = self.symbol;
        match line.op {
            Op::New => BookCommand::NewOrder(self.new_order(line, order_id, account_id)),
            Op::Replace => {
                let (price, quantity, stay) = self.standing_terms(order_id.0);
                BookCommand::ReplaceBookOrder(ReplaceBookOrder {
                    command_id,
                    order_id,
                    account_id,
                    symbol,
                    price_cents: line.price.or(price),
                    quantity: line.quantity.unwrap_or(quantity),
                    time_in_force: line.time_in_force.map_or(stay, time_in_force_of),
                    deadline_us,
                })
            }
            Op::Cancel => BookCommand::CancelBookOrder(CancelBookOrder {
                command_id,
                order_id,
                account_id,
                symbol,
                deadline_us,
            }),
            Op::Halt => BookCommand::HaltInstrument(self.operation()),
            Op::Resume => BookCommand::ResumeInstrument(self.operation()),
            Op::Open => BookCommand::OpenSession(self.operation()),
            Op::Close => BookCommand::CloseSession(self.operation()),
        }
    }

    fn new_order(&self, line: &Line, order_id: OrderId, account_id: AccountId) -> NewOrder {
        let side = match line.side {
            Some(Side::Buy) => brokerx_schemas::Side::Buy,
            Some(Side::Sell) => brokerx_schemas::Side::Sell,
            None => brokerx_schemas::Side::Unknown,
        };
        let order_type = match line.order_type {
            None | Some(Type::Limit) => OrderType::Limit,
            Some(Type::Market) => OrderType::Market,
            Some(Type::Stop) => OrderType::Stop,
            Some(Type::StopLimit) => OrderType::StopLimit,
        };
        NewOrder {
            command_id: CommandId([0; 16]),
            order_id,
            account_id,
            symbol: self.symbol,
            side,
            order_type,
            quantity: line.quantity.unwrap_or(0),
            price_cents: line.price,
            stop_price_cents: line.stop_price,
            collar_price_cents: line.collar.or_else(|| self.collar(line)),
            time_in_force: line.time_in_force.map_or(TimeInForce::Gtc, time_in_force_of),
            post_only: line.post_only.unwrap_or(false),
            display_quantity: line.display_quantity,
            self_trade_prevention: match line.self_trade {
                None | Some(SelfTrade::Incoming) => SelfTradePrevention::CancelIncoming,
                Some(SelfTrade::Resting) => SelfTradePrevention::CancelResting,
                Some(SelfTrade::Both) => SelfTradePrevention::CancelBoth,
            },
            deadline_us: i64::MAX,
        }
    }

    /// The collar that the ingress gives a market order, and settlement a stop: rounded inwards.
    fn collar(&self, line: &Line) -> Option<i64> {
        let from = match line.order_type {
            Some(Type::Market) => self.matcher.reference_cents(self.symbol)?,
            Some(Type::Stop) => line.stop_price?,
            _ => return None,
        };
        let (from, bps) = (i128::from(from), i128::from(self.collar_bps?));
        if !(1..=i128::from(PRICE_MAX)).contains(&from) {
            return None;
        }
        let collar = match line.side? {
            Side::Buy => from * (10_000 + bps) / 10_000,
            Side::Sell => ((from * (10_000 - bps) + 9_999) / 10_000).max(1),
        };
        i64::try_from(collar).ok()
    }

    /// What a replace leaves as it is: limit, total, time in force.
    fn standing_terms(&self, order_id: i64) -> (Option<i64>, i64, TimeInForce) {
        let book = self.book();
        if let Some(order) = book.order(order_id) {
            return (Some(order.price), order.quantity, stay_of(order.time_in_force));
        }
        match book.stop(order_id) {
            Some(stop) => (stop.limit, stop.quantity, stay_of(stop.time_in_force)),
            // The machine will say that there is no such order.
            None => (None, 1, TimeInForce::Gtc),
        }
    }

    fn operation(&self) -> InstrumentCommand {
        InstrumentCommand {
            meta: CommandMeta {
                command_id: CommandId([0; 16]),
                reply_to: None,
                deadline_us: i64::MAX,
            },
            operator: String::new(),
            idempotency_key: None,
            symbol: self.symbol,
            note: None,
        }
    }
}

fn time_in_force_of(stay: Stay) -> TimeInForce {
    match stay {
        Stay::Day => TimeInForce::Day,
        Stay::Gtc => TimeInForce::Gtc,
        Stay::Ioc => TimeInForce::Ioc,
        Stay::Fok => TimeInForce::Fok,
    }
}

fn stay_of(time_in_force: book::TimeInForce) -> TimeInForce {
    match time_in_force {
        book::TimeInForce::Day => TimeInForce::Day,
        book::TimeInForce::Gtc => TimeInForce::Gtc,
        book::TimeInForce::Ioc => TimeInForce::Ioc,
        book::TimeInForce::Fok => TimeInForce::Fok,
    }
}
