//! A market in a line: the language of the cases.
//!
//! A case is a script: `B 7 100 10` is account 7 buying 10 shares at 100.00, the orders are numbered
//! from 1 in the order of the script. The last line is the command that is looked at.

use BookStatus::Filled;
use brokerx_matcher::naive::{NaiveBook, Said};
use brokerx_schemas::*;

use crate::common::*;

/// Runs a script against a fresh desk and returns what its last line caused. The naive book, which
/// knows no deadline, no other symbol, no delisting and no id that is taken, must say the same.
///
/// `B|S account price quantity [options]` places a limit order, price `market` a market order.
/// Options: IOC FOK DAY post resting both late other twice collar=C; `stop=C` makes it a stop-limit, or a
/// stop when its price is `market`; `show=Q` an iceberg. `X account order` cancels, `R account order
/// price quantity` replaces (a price `none` is none), `halt resume open close delist` act on the
/// instrument.
pub fn script(text: &str) -> Outcome {
    script_with(Config::default(), text)
}

fn script_with(config: Config, text: &str) -> Outcome {
    let mut desk = Desk::with(config.clone());
    desk.feed(BookCommand::ListInstrument(listing()));
    let mut naive = NaiveBook::new(config, &listing());
    let naive_knows = !["late", "other", "delist", "twice"]
        .iter()
        .any(|word| text.contains(word));
    let mut orders = 0;
    let mut last = Outcome::default();
    for line in text.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let command = command(line, &mut orders);
        last = outcome(&desk.feed(command.clone()));
        if naive_knows {
            assert_eq!(
                naively(&mut naive, &command),
                last.said,
                "the naive book: {line} of {text}"
            );
        }
        desk.matcher().check_book(symbol()).unwrap();
    }
    last
}

fn cents(text: &str) -> i64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, "00"));
    whole.parse::<i64>().unwrap() * 100 + part.parse::<i64>().unwrap()
}

fn command(line: &str, orders: &mut i64) -> BookCommand {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |at: usize| words[at].parse::<i64>().unwrap();
    match words[0] {
        "B" | "S" => {
            *orders += 1;
            let side = if words[0] == "B" { Side::Buy } else { Side::Sell };
            let price = if words[2] == "market" { 0 } else { cents(words[2]) };
            let mut order = limit(*orders, number(1), side, price, number(3));
            if words[2] == "market" {
                order.order_type = OrderType::Market;
                order.price_cents = None;
            }
            for option in &words[4..] {
                match *option {
                    "IOC" => order.time_in_force = TimeInForce::Ioc,
                    "FOK" => order.time_in_force = TimeInForce::Fok,
                    "DAY" => order.time_in_force = TimeInForce::Day,
                    "post" => order.post_only = true,
                    "resting" => order.self_trade_prevention = SelfTradePrevention::CancelResting,
                    "both" => order.self_trade_prevention = SelfTradePrevention::CancelBoth,
                    "plain" => order.order_type = OrderType::Limit,
                    "late" => order.deadline_us = NOW_MS * 1_000 - 1,
                    "other" => order.symbol = Symbol::new("OTHER").unwrap(),
                    "twice" => order.order_id = OrderId(1),
                    other => match other.split_once('=').unwrap() {
                        ("collar", price) => order.collar_price_cents = Some(cents(price)),
                        ("show", shares) => order.display_quantity = Some(shares.parse().unwrap()),
                        ("stop", price) => {
                            order.stop_price_cents = Some(cents(price));
                            order.order_type = match order.order_type {
                                OrderType::Market => OrderType::Stop,
                                _ => OrderType::StopLimit,
                            };
                        }
                        _ => panic!("no such option: {other}"),
                    },
                }
            }
            BookCommand::NewOrder(order)
        }
        "X" => BookCommand::CancelBookOrder(CancelBookOrder {
            command_id: CommandId([2; 16]),
            order_id: OrderId(number(2)),
            account_id: AccountId(number(1)),
            symbol: symbol(),
            deadline_us: NEVER_US,
        }),
        "R" => BookCommand::ReplaceBookOrder(ReplaceBookOrder {
            command_id: CommandId([3; 16]),
            order_id: OrderId(number(2)),
            account_id: AccountId(number(1)),
            symbol: symbol(),
            price_cents: (words[3] != "none").then(|| cents(words[3])),
            quantity: number(4),
            time_in_force: words.get(5).map_or(TimeInForce::Gtc, |_| TimeInForce::Ioc),
            deadline_us: NEVER_US,
        }),
        "halt" => BookCommand::HaltInstrument(instrument_command()),
        "resume" => BookCommand::ResumeInstrument(instrument_command()),
        "open" => BookCommand::OpenSession(instrument_command()),
        "close" => BookCommand::CloseSession(instrument_command()),
        "delist" => BookCommand::DelistInstrument(instrument_command()),
        other => panic!("no such command: {other}"),
    }
}

/// A case: name, script, what `CommandDone` says, and the trades as (maker, price, quantity).
pub type Case = (
    &'static str,
    &'static str,
    (BookStatus, Option<Reason>, i64),
    &'static [(i64, i64, i64)],
);

pub fn check(cases: &[Case]) {
    for (name, text, done, trades) in cases {
        let outcome = script(text);
        assert_eq!(outcome.done(), Some(*done), "{name}");
        let seen: Vec<_> = outcome
            .trades()
            .iter()
            .map(|trade| (trade.maker_order_id, trade.price_cents, trade.quantity))
            .collect();
        assert_eq!(seen, *trades, "{name}");
    }
}

/// What the last line of a script caused, in words: `2x1 100*5` is a trade of order 2 with order 1 that
/// was there before it; `=filled`, `=working 5`, `=cancelled NO_LIQUIDITY 3` the answer; `!3@101` says that
/// stop 3 was triggered by a trade at 101.00, `-4 SELF_TRADE 7` that order 4 ended with 7 shares left.
fn told(config: &Config, text: &str) -> String {
    let number = |cents: i64| match cents % 100 {
        0 => (cents / 100).to_string(),
        part => format!("{}.{part:02}", cents / 100),
    };
    let said = script_with(config.clone(), text).said;
    let said = said.iter().map(|said| match said {
        Said::Trade(trade) => format!(
            "{}x{} {}*{}",
            trade.taker_order_id,
            trade.maker_order_id,
            number(trade.price_cents),
            trade.quantity
        ),
        Said::Ended(order_id, cause, leaves) => format!("-{order_id} {} {leaves}", name_of(cause)),
        Said::Done(Filled, ..) => "=filled".to_owned(),
        Said::Done(status, None, leaves) => format!("={} {leaves}", name_of(status).to_lowercase()),
        Said::Done(status, Some(reason), leaves) => {
            format!("={} {} {leaves}", name_of(status).to_lowercase(), name_of(reason))
        }
        Said::Triggered(order_id, price) => format!("!{order_id}@{}", number(*price)),
    });
    said.collect::<Vec<_>>().join("; ")
}

/// The wire's name of an enum's symbol.
fn name_of(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

pub fn check_told(config: &Config, cases: &[(&str, &str, &str)]) {
    for (name, text, expected) in cases {
        assert_eq!(told(config, text), *expected, "{name}: {text}");
    }
}
