//! The rules of the book, case by case, at the records that a command causes.
//!
//! A case is a script: `B 7 100 10` is account 7 buying 10 shares at 100.00, the orders are numbered
//! from 1 in the order of the script. The last line is the command that is looked at.
#![allow(
    clippy::unwrap_used,
    clippy::inconsistent_digit_grouping,
    reason = "a test; cents stand behind dollars"
)]

mod common;

use BookStatus::{Cancelled, Filled, Rejected, Replaced, Working};
use brokerx_matcher::naive::Said;
use brokerx_schemas::*;
use common::*;

/// Runs a script against a fresh desk and returns what its last line caused.
///
/// `B|S account price quantity [options]` places a limit order, price `market` a market order.
/// Options: IOC FOK DAY post resting both late other twice collar=C; `stop=C` makes it a stop-limit, or a
/// stop when its price is `market`; `show=Q` an iceberg. `X account order` cancels, `R account order
/// price quantity` replaces (a price `none` is none), `halt resume open close delist` act on the
/// instrument, `tick` is the clock.
fn script(text: &str) -> Outcome {
    script_with(Config::default(), text)
}

fn script_with(config: Config, text: &str) -> Outcome {
    let mut desk = Desk::with(config);
    desk.feed(BookCommand::ListInstrument(listing()));
    let mut orders = 0;
    let mut last = Outcome::default();
    for line in text.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        last = outcome(&desk.feed(command(line, &mut orders)));
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
        "tick" => BookCommand::Tick(Tick { second: NOW_MS / 1_000 }),
        other => panic!("no such command: {other}"),
    }
}

/// A case: name, script, what `CommandDone` says, and the trades as (maker, price, quantity).
type Case = (
    &'static str,
    &'static str,
    (BookStatus, Option<Reason>, i64),
    &'static [(i64, i64, i64)],
);

fn check(cases: &[Case]) {
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

fn check_told(config: &Config, cases: &[(&str, &str, &str)]) {
    for (name, text, expected) in cases {
        assert_eq!(told(config, text), *expected, "{name}: {text}");
    }
}

#[test]
#[rustfmt::skip]
fn stops() {
    check_told(&Config::default(), &[
        ("a stop waits for its price", "B 1 market 5 stop=102", "=working 5"),
        ("before the first trade nothing triggers", "B 1 market 5 stop=100", "=working 5"),
        ("a buy is triggered by a trade at its price", "B 1 market 5 stop=102; S 2 102 9; B 3 102 4", "3x2 102*4; =filled; !1@102; 1x2 102*5"),
        ("or above it", "B 1 market 5 stop=101; S 2 102 9; B 3 102 4", "3x2 102*4; =filled; !1@102; 1x2 102*5"),
        ("not below it", "B 1 market 5 stop=103; S 2 102 9; B 3 102 4", "3x2 102*4; =filled"),
        ("a sell is triggered by a trade at its price", "S 1 market 5 stop=98; B 2 98 9; S 3 98 4", "3x2 98*4; =filled; !1@98; 1x2 98*5"),
        ("or below it", "S 1 market 5 stop=99; B 2 98 9; S 3 98 4", "3x2 98*4; =filled; !1@98; 1x2 98*5"),
        ("a quote is no trade", "B 1 market 5 stop=102; B 2 103 1", "=working 1"),
        ("a price that was traded already triggers at once", "S 2 102 9; B 3 102 4; B 1 market 5 stop=101", "=working 5; !3@102; 3x1 102*5"),
        ("what a stop cannot trade ends", "B 1 market 5 stop=102; S 2 102 6; B 3 102 4", "3x2 102*4; =filled; !1@102; 1x2 102*2; -1 NO_LIQUIDITY 3"),
        ("a stop that finds nothing ends", "B 1 market 5 stop=102; S 2 102 4; B 3 102 4", "3x2 102*4; =filled; !1@102; -1 NO_LIQUIDITY 5"),
        ("a stop never trades beyond its collar", "B 1 market 5 stop=102 collar=103; S 2 102 4; S 2 104 9; B 3 102 4", "4x2 102*4; =filled; !1@102; -1 NO_LIQUIDITY 5"),
        ("nor beyond the band around the trade", "B 1 market 5 stop=96 collar=120; S 2 105 9; B 4 96 1; S 5 96 1", "4x3 96*1; =filled; !1@96; -1 NO_LIQUIDITY 5"),
        ("all or nothing counts at the trigger", "B 1 market 5 stop=102 FOK; S 2 102 6; B 3 102 4", "3x2 102*4; =filled; !1@102; -1 FOK_UNFILLABLE 5"),
        ("a stop-limit becomes a limit order", "B 1 102 5 stop=102; S 2 102 6; B 3 102 4", "3x2 102*4; =filled; !1@102; 1x2 102*2"),
        ("which rests what is left", "B 1 102 5 stop=102; S 2 102 6; B 3 102 4; S 4 102 3", "4x1 102*3; =filled"),
        ("its limit may be worse than the market", "B 1 101 5 stop=102; S 2 102 6; B 3 102 4; S 4 101 5", "4x1 101*5; =filled"),
        ("the band applies when it is triggered", "B 1 110 5 stop=102; S 2 102 6; B 3 102 4", "3x2 102*4; =filled; !1@102; -1 PRICE_BAND 5"),
        ("a limit that the market has come to is good", "B 1 107 5 stop=102; S 2 102 6; B 3 102 4", "3x2 102*4; =filled; !1@102; 1x2 102*2"),
        ("an immediate stop-limit never rests", "B 1 102 5 stop=102 IOC; S 2 102 6; B 3 102 4", "3x2 102*4; =filled; !1@102; 1x2 102*2; -1 NO_LIQUIDITY 3"),
        ("a stop is stopped by an own order", "B 1 market 5 stop=102; S 2 102 4; S 1 102 5; B 3 102 4", "4x2 102*4; =filled; !1@102; -1 SELF_TRADE 5"),
        ("or takes it away", "B 1 market 5 stop=102 resting; S 2 102 4; S 1 102 5; B 3 102 4", "4x2 102*4; =filled; !1@102; -3 SELF_TRADE 5; -1 NO_LIQUIDITY 5"),
        ("the sweep is done before a stop enters", "B 1 market 1 stop=101; S 2 101 2; S 2 102 2; B 3 102 3", "4x2 101*2; 4x3 102*1; =filled; !1@101; 1x3 102*1"),
        ("the first placed enters first", "B 1 market 1 stop=102; B 4 market 1 stop=101; S 2 102 9; B 3 102 1", "4x3 102*1; =filled; !1@102; 1x3 102*1; !2@102; 2x3 102*1"),
        ("also of both sides", "S 1 market 1 stop=103; B 4 market 1 stop=101; B 5 99 3; S 2 102 9; B 3 102 1", "5x4 102*1; =filled; !1@102; 1x3 99*1; !2@102; 2x4 102*1"),
        ("one triggers the next", "B 1 market 3 stop=101; B 4 market 1 stop=102; S 2 101 2; S 2 102 2; B 3 101 1", "5x3 101*1; =filled; !1@101; 1x3 101*1; 1x4 102*2; !2@102; -2 NO_LIQUIDITY 1"),
        ("what is triggered later waits behind", "B 1 market 2 stop=101; B 4 market 1 stop=102; B 5 market 1 stop=101; S 2 101 1; S 2 102 1; S 2 103 9; B 3 101 1",
            "7x4 101*1; =filled; !1@101; 1x5 102*1; 1x6 103*1; !3@101; 3x6 103*1; !2@102; 2x6 103*1"),
        ("a long cascade downwards", "S 1 market 1 stop=99; S 1 market 1 stop=98; S 1 market 1 stop=97; B 2 99 1; B 2 98 1; B 2 97 1; B 2 96 1; S 3 99 1",
            "8x4 99*1; =filled; !1@99; 1x5 98*1; !2@98; 2x6 97*1; !3@97; 3x7 96*1"),
        ("a cancel takes a stop out", "B 1 market 5 stop=102; X 1 1", "=cancelled CANCELLED_BY_CLIENT 5"),
        ("only its owner's", "B 1 market 5 stop=102; X 2 1", "=rejected NOT_FOUND 0"),
        ("a cancelled stop is not triggered", "B 1 market 5 stop=102; X 1 1; S 2 102 9; B 3 102 1", "3x2 102*1; =filled"),
        ("a replace gives it another size", "B 1 market 5 stop=102; R 1 1 none 3", "=replaced 3"),
        ("not a limit that it does not have", "B 1 market 5 stop=102; R 1 1 103 3", "=rejected INVALID_ORDER 5"),
        ("a stop-limit gets another limit", "B 1 101 5 stop=102; R 1 1 102 5; S 2 102 9; B 3 102 1", "3x2 102*1; =filled; !1@102; 1x2 102*5"),
        ("less keeps its place among the stops", "B 1 market 2 stop=102; B 4 market 1 stop=102; R 1 1 none 1; S 2 102 9; B 3 102 1", "4x3 102*1; =filled; !1@102; 1x3 102*1; !2@102; 2x3 102*1"),
        ("more goes to the end", "B 1 market 2 stop=102; B 4 market 1 stop=102; R 1 1 none 3; S 2 102 9; B 3 102 1", "4x3 102*1; =filled; !2@102; 2x3 102*1; !1@102; 1x3 102*3"),
        ("a DAY stop expires", "B 1 market 2 stop=102 DAY; B 1 market 2 stop=102; close", "-1 SESSION_ENDED 2"),
        ("a delisting ends stops", "B 1 market 2 stop=102; B 2 100 1; B 1 101 2 stop=102; delist", "-1 DELISTED 2; -2 DELISTED 1; -3 DELISTED 2"),
        ("a stop needs a stop price", "B 1 100 2 stop=0", "=rejected INVALID_PRICE 2"),
        ("post-only is for limit orders", "B 1 100 2 stop=102 post", "=rejected INVALID_ORDER 2"),
        ("icebergs are limit orders", "B 1 100 2 stop=102 show=1", "=rejected INVALID_ORDER 2"),
        ("refused while halted", "halt; B 1 market 2 stop=102", "=rejected HALTED 2"),
        ("its id is taken", "B 1 market 2 stop=102; B 1 100 1 twice", "=rejected INVALID_ORDER 1"),
    ]);
}

#[test]
#[rustfmt::skip]
fn icebergs() {
    check_told(&Config::default(), &[
        ("shows a part, trades whole", "S 1 100 10 show=4; B 2 100 10", "2x1 100*4; 2x1 100*4; 2x1 100*2; =filled"),
        ("goes to the end when what it shows is used up", "S 1 100 10 show=4; S 3 100 3; B 2 100 8", "3x1 100*4; 3x2 100*3; 3x1 100*1; =filled"),
        ("keeps its place while it shows something", "S 1 100 10 show=4; S 3 100 3; B 2 100 3; B 2 100 2", "4x1 100*1; 4x2 100*1; =filled"),
        ("two take turns", "S 1 100 5 show=2; S 3 100 5 show=3; B 2 100 10", "3x1 100*2; 3x2 100*3; 3x1 100*2; 3x2 100*2; 3x1 100*1; =filled"),
        ("a new one comes before what it hides", "S 1 100 6 show=3; B 2 100 3; S 3 100 1; B 2 100 4", "4x1 100*3; 4x3 100*1; =filled"),
        ("what was hidden waits behind those who came meanwhile", "S 1 100 6 show=3; S 3 100 1; B 2 100 2; S 4 100 1; B 2 100 4", "5x1 100*1; 5x2 100*1; 5x4 100*1; 5x1 100*1; =filled"),
        ("fill or kill counts what is hidden", "S 1 100 10 show=1; B 2 100 10 FOK", "2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; =filled"),
        ("and one share more is too many", "S 1 100 10 show=1; B 2 100 11 FOK", "=rejected FOK_UNFILLABLE 11"),
        ("an own order comes before what another hides", "S 1 100 10 show=4; S 2 100 1; B 2 100 5 FOK", "=rejected FOK_UNFILLABLE 5"),
        ("as far as it shows there is enough", "S 1 100 10 show=4; S 2 100 1; B 2 100 4 FOK", "3x1 100*4; =filled"),
        ("an own order stops the sweep between the turns", "S 1 100 10 show=4; S 2 100 1; B 2 100 6", "3x1 100*4; =cancelled SELF_TRADE 2"),
        ("an own order that gives way lets it go on", "S 1 100 10 show=4; S 2 100 1; B 2 100 6 resting", "3x1 100*4; -2 SELF_TRADE 1; 3x1 100*2; =filled"),
        ("it takes with its whole size", "S 1 100 9; B 2 100 10 show=2", "2x1 100*9; =working 1"),
        ("less keeps the place", "S 1 100 10 show=4; S 3 100 3; R 1 1 100 6; B 2 100 9", "3x1 100*4; 3x2 100*3; 3x1 100*2; =filled"),
        ("less than it shows keeps the place", "S 1 100 10 show=4; S 3 100 3; R 1 1 100 2; B 2 100 5", "3x1 100*2; 3x2 100*3; =filled"),
        ("more goes to the end and shows anew", "S 1 100 10 show=4; S 3 100 3; B 2 100 2; R 1 1 100 11; B 2 100 7", "4x2 100*3; 4x1 100*4; =filled"),
        ("a cancel returns what is hidden", "S 1 100 10 show=4; B 2 100 5; X 1 1", "=cancelled CANCELLED_BY_CLIENT 5"),
        ("it may show everything", "S 1 100 4 show=4; S 3 100 1; B 2 100 5", "3x1 100*4; 3x2 100*1; =filled"),
        ("post-only as any other", "S 1 100 4; B 2 100 9 show=2 post", "=rejected POST_ONLY_WOULD_CROSS 9"),
    ]);
    let shown = |text: &str| -> Vec<(i64, i64, i32)> {
        let changes = script(text).changes;
        changes.iter().map(|level| (level.price_cents, level.quantity, level.order_count)).collect()
    };
    assert_eq!(shown("S 1 100 10 show=4"), [(100_00, 4, 1)], "others see what is shown");
    assert_eq!(shown("S 1 100 10 show=4; B 2 100 3"), [(100_00, 1, 1)]);
    assert_eq!(shown("S 1 100 10 show=4; B 2 100 5"), [(100_00, 3, 1)]);
    assert_eq!(shown("S 1 100 10 show=4; R 1 1 100 5"), [], "hidden shares are nobody's business");
}

#[test]
#[rustfmt::skip]
fn collected_books() {
    let config = Config { collect_while_halted: true, collect_while_closed: true, ..Config::default() };
    check_told(&config, &[
        ("a limit order is collected", "halt; B 1 100 5", "=working 5"),
        ("nothing trades", "halt; B 1 101 5; S 2 100 5", "=working 5"),
        ("a cancel works", "halt; B 1 101 5; S 2 100 5; X 1 1", "=cancelled CANCELLED_BY_CLIENT 5"),
        ("a market order waits for the auction", "halt; B 1 market 5", "=working 5"),
        ("IOC cannot wait", "halt; B 1 100 5 IOC", "=rejected HALTED 5"),
        ("FOK cannot wait", "close; B 1 100 5 FOK", "=rejected MARKET_CLOSED 5"),
        ("nor at the market", "close; B 1 market 5 FOK", "=rejected MARKET_CLOSED 5"),
        ("post-only must not cross what is there", "halt; S 1 100 5; B 2 100 5 post", "=rejected POST_ONLY_WOULD_CROSS 5"),
        ("otherwise it is collected", "halt; S 1 101 5; B 2 100 5 post", "=working 5"),
        ("the band applies", "halt; B 1 106 5", "=rejected PRICE_BAND 5"),
        ("a replace changes a collected order", "halt; B 1 100 5; R 1 1 101 7", "=replaced 7"),
        ("also into a crossing price, without a trade", "halt; B 1 99 5; S 2 100 5; R 1 1 101 5", "=replaced 5"),
        ("even over an own order", "halt; B 1 99 5; S 1 100 5; R 1 1 101 5", "=replaced 5"),
        ("not a market order", "halt; B 1 market 5; R 1 1 none 4", "=rejected INVALID_ORDER 5"),
        ("a stop is held", "halt; B 1 market 5 stop=101", "=working 5"),
        ("DAY orders expire at the close", "B 1 100 5 DAY; B 1 99 5; close", "-1 SESSION_ENDED 5"),
        ("those of the next session stay", "close; B 1 100 5 DAY; open; S 2 100 5", "2x1 100*5; =filled"),
        ("a collected market order ends with the session", "halt; B 1 market 5; close", "-1 SESSION_ENDED 5"),
        ("a halt outlives the session", "halt; close; B 1 101 5; S 2 100 5; open", ""),
        ("the last thing that is lifted starts the auction", "halt; close; B 1 101 5; S 2 101 5; open; resume", "2x1 101*5"),
        ("delisting ends what was collected", "halt; B 1 101 5; S 2 100 5; delist", "-1 DELISTED 5; -2 DELISTED 5"),
    ]);
    check_told(&Config { collect_while_halted: true, ..Config::default() }, &[
        ("closed comes first", "halt; close; B 1 100 5", "=rejected MARKET_CLOSED 5"),
    ]);
    check_told(&Config { collect_while_closed: true, ..Config::default() }, &[
        ("halted refuses behind it", "halt; close; B 1 100 5", "=rejected HALTED 5"),
        ("collected when closed alone", "close; B 1 100 5", "=working 5"),
    ]);
}

#[test]
#[rustfmt::skip]
fn auctions() {
    let config = Config { collect_while_halted: true, collect_while_closed: true, ..Config::default() };
    check_told(&config, &[
        ("nothing to do", "halt; resume", ""),
        ("nothing crosses", "halt; B 1 99 5; S 2 101 5; resume", ""),
        ("one price, most shares", "halt; B 1 102 5; B 2 101 5; S 3 100 5; S 4 101 5; resume", "3x1 101*5; 4x2 101*5"),
        ("the price that trades most wins over the reference", "halt; B 1 103 10; S 2 102 6; S 3 103 4; resume", "2x1 103*6; 3x1 103*4"),
        ("the session's opening is an auction too", "close; B 1 101 5; S 2 101 5; open", "2x1 101*5"),
        // 100 to 102 trade 5 each with nothing over: 100 is the reference.
        ("a tie goes to the reference", "halt; B 1 102 5; S 2 99 5; resume", "2x1 100*5"),
        ("a reference below is as near as it gets", "halt; B 1 104 5; S 2 102 5; resume", "2x1 102*5"),
        ("a reference above as well", "halt; B 1 98 5; S 2 96 5; resume", "2x1 98*5"),
        // At 101 and 102 five trade; at 101 one is left over, at 102 none.
        ("a tie goes to the smaller imbalance first", "halt; B 1 102 5; B 3 101 1; S 2 101 5; resume", "3x1 101.01*5"),
        // At 99: 5 of 5 bids, 8 asks: 3 over. At 101: 5 of 8 bids: 3 over.
        ("equal imbalances go to the reference", "halt; B 1 102 5; B 1 99 3; S 2 99 5; S 2 102 3; resume", "3x1 100*5"),
        ("equal distances go to the lower price", "halt; B 1 101 1; B 5 99 9; S 2 99 1; S 6 101 9; resume", "3x1 100*1"),
        ("the last trade is the reference", "S 8 103 1; B 9 103 1; halt; B 1 105 5; S 2 100 5; resume", "4x3 103*5"),
        ("better prices first", "halt; B 1 101 5; B 2 102 5; S 3 101 7; resume", "3x2 101*5; 3x1 101*2"),
        ("then first come", "halt; B 1 101 5; B 2 101 5; S 3 101 7; resume", "3x1 101*5; 3x2 101*2"),
        ("who was there before is the maker", "S 1 101 5; halt; B 2 102 3; S 3 101 1; resume", "2x1 101*3"),
        ("what is left rests and trades on", "halt; B 1 102 9; S 2 100 5; resume; S 3 100 4", "3x1 102*4; =filled"),
        ("a market order trades at its collar at worst", "halt; B 1 market 5 collar=101; S 2 101 3; S 3 102 3; resume", "2x1 101*3; -1 NO_LIQUIDITY 2"),
        ("and ends after the auction", "halt; B 1 market 5; resume", "-1 NO_LIQUIDITY 5"),
        ("market orders meet each other", "halt; B 1 market 5; S 2 market 5; resume", "2x1 100*5"),
        ("an iceberg trades whole", "halt; B 1 101 9; S 2 101 9 show=4; resume", "2x1 101*4; 2x1 101*4; 2x1 101*1"),
        ("in turns with its queue", "halt; B 1 101 7; S 2 101 9 show=4; S 3 101 2; resume", "2x1 101*4; 3x1 101*2; 2x1 101*1"),
        ("what it hides counts for the price", "halt; B 1 102 9; S 2 100 2; S 3 102 9 show=1; resume", "2x1 102*2; 3x1 102*1; 3x1 102*1; 3x1 102*1; 3x1 102*1; 3x1 102*1; 3x1 102*1; 3x1 102*1"),
        ("the later of two own orders gives way", "halt; B 1 101 5; S 1 101 5; resume", "-2 SELF_TRADE 5"),
        ("or the earlier, as the later one says", "halt; B 1 101 5; S 1 101 5 resting; resume", "-1 SELF_TRADE 5"),
        ("or both", "halt; B 1 101 5; S 1 101 5 both; resume", "-1 SELF_TRADE 5; -2 SELF_TRADE 5"),
        ("others trade behind them", "halt; B 1 101 5; S 1 101 5; S 2 101 5; resume", "-2 SELF_TRADE 5; 3x1 101*5"),
        // The first round is at 102; when both 1s are gone, 3 and 4 still cross at 100.
        ("orders that gave way can make another round", "halt; B 1 102 9; B 3 100 2; S 1 99 1 resting; S 4 99 8; resume", "-1 SELF_TRADE 9; 3x2 100*1; 4x2 100*1"),
        ("a post-only order is the maker", "halt; S 1 103 5; B 2 101 5 post; R 1 1 101 5; resume", "1x2 101*5"),
        ("stops are triggered by the auction's price", "B 9 market 2 stop=101; halt; B 1 101 5; S 2 101 9; resume", "3x2 101*5; !1@101; 1x3 101*2"),
        ("stops that were held while it was halted too", "S 8 102 1; B 9 102 1; halt; B 3 market 1 stop=101; S 2 103 1; resume", "!3@102; 3x4 103*1"),
        ("behind the end of market orders", "B 9 market 2 stop=100; halt; B 1 market 5; S 2 100 3; resume", "3x2 100*3; -2 NO_LIQUIDITY 2; !1@100; -1 NO_LIQUIDITY 2"),
    ]);
}

#[test]
#[rustfmt::skip]
fn price_then_time() {
    check(&[
        ("an order that meets nobody rests", "B 1 100 10", (Working, None, 10), &[]),
        ("a bid below the ask rests", "S 1 101 10; B 2 100 10", (Working, None, 10), &[]),
        ("equal prices trade", "S 1 100 10; B 2 100 10", (Filled, None, 0), &[(1, 100_00, 10)]),
        ("a trade executes at the resting price", "S 1 99 10; B 2 101 10", (Filled, None, 0), &[(1, 99_00, 10)]),
        ("the same for an incoming sell", "B 1 101 10; S 2 99 10", (Filled, None, 0), &[(1, 101_00, 10)]),
        ("the better price first", "S 1 101 5; S 1 100 5; B 2 101 7", (Filled, None, 0), &[(2, 100_00, 5), (1, 101_00, 2)]),
        ("the higher bid first", "B 1 99 5; B 1 100 5; S 2 99 7", (Filled, None, 0), &[(2, 100_00, 5), (1, 99_00, 2)]),
        ("first come, first served", "S 1 100 5; S 3 100 5; B 2 100 7", (Filled, None, 0), &[(1, 100_00, 5), (2, 100_00, 2)]),
        ("what is left rests", "S 1 100 4; B 2 100 10", (Working, None, 6), &[(1, 100_00, 4)]),
        ("a part fill keeps its place", "S 1 100 5; S 3 100 5; B 2 100 2; B 2 100 4", (Filled, None, 0), &[(1, 100_00, 3), (2, 100_00, 1)]),
        ("it stops at its limit", "S 1 100 5; S 1 102 5; B 2 101 10", (Working, None, 5), &[(1, 100_00, 5)]),
        ("what was left behind is taken next", "S 1 100 4; B 2 100 10; S 1 99 6", (Filled, None, 0), &[(2, 100_00, 6)]),
    ]);
}

#[test]
#[rustfmt::skip]
fn immediate_orders() {
    let none = Some(Reason::NoLiquidity);
    let fok = Some(Reason::FokUnfillable);
    check(&[
        ("IOC into an empty book", "B 1 100 10 IOC", (Cancelled, none, 10), &[]),
        ("IOC takes what there is", "S 1 100 4; B 2 100 10 IOC", (Cancelled, none, 6), &[(1, 100_00, 4)]),
        ("IOC filled whole", "S 1 100 10; B 2 100 10 IOC", (Filled, None, 0), &[(1, 100_00, 10)]),
        ("IOC does not reach beyond its limit", "S 1 101 10; B 2 100 10 IOC", (Cancelled, none, 10), &[]),
        ("FOK that can be filled", "S 1 100 4; S 1 101 6; B 2 101 10 FOK", (Filled, None, 0), &[(1, 100_00, 4), (2, 101_00, 6)]),
        ("FOK one share short", "S 1 100 4; S 1 101 5; B 2 101 10 FOK", (Rejected, fok, 10), &[]),
        ("FOK does not count beyond its limit", "S 1 100 4; S 1 102 6; B 2 101 10 FOK", (Rejected, fok, 10), &[]),
        ("FOK into an empty book", "S 2 100 1 FOK", (Rejected, fok, 1), &[]),
        ("FOK does not count behind an own order", "S 1 100 4; S 2 100 1; S 1 100 6; B 2 100 10 FOK", (Rejected, fok, 10), &[]),
        ("FOK that needs nothing behind an own order", "S 1 100 4; S 2 100 1; B 2 100 4 FOK", (Filled, None, 0), &[(1, 100_00, 4)]),
        ("FOK passes own orders that give way", "S 1 100 4; S 2 100 1; S 1 100 6; B 2 100 10 FOK resting", (Filled, None, 0), &[(1, 100_00, 4), (3, 100_00, 6)]),
        ("FOK does not count own orders that give way", "S 1 100 4; S 2 100 9; B 2 100 5 FOK resting", (Rejected, fok, 5), &[]),
        ("FOK with both does not pass an own order", "S 1 100 4; S 2 100 1; S 1 100 6; B 2 100 10 FOK both", (Rejected, fok, 10), &[]),
        ("a refused FOK leaves the book", "S 1 100 4; B 2 100 10 FOK; B 2 100 4", (Filled, None, 0), &[(1, 100_00, 4)]),
    ]);
}

#[test]
#[rustfmt::skip]
fn market_orders() {
    let none = Some(Reason::NoLiquidity);
    check(&[
        ("without a counterparty", "B 1 market 10", (Cancelled, none, 10), &[]),
        ("takes the best there is", "S 1 100 5; S 1 101 5; B 2 market 7", (Filled, None, 0), &[(1, 100_00, 5), (2, 101_00, 2)]),
        ("never rests", "S 1 100 5; B 2 market 7", (Cancelled, none, 2), &[(1, 100_00, 5)]),
        ("stops at its collar", "S 1 100 5; S 1 102 5; B 2 market 7 collar=101", (Cancelled, none, 2), &[(1, 100_00, 5)]),
        ("its collar is included", "S 1 100 5; S 1 101 5; B 2 market 7 collar=101", (Filled, None, 0), &[(1, 100_00, 5), (2, 101_00, 2)]),
        ("a sell stops at its collar", "B 1 100 5; B 1 98 5; S 2 market 7 collar=99", (Cancelled, none, 2), &[(1, 100_00, 5)]),
        ("a sell reaches the edge of the band", "B 1 95 5; S 2 market 5", (Filled, None, 0), &[(1, 95_00, 5)]),
        // The sale at 95.00 moves the band to 90.25..99.75: the ask at 105.00 is out of reach.
        ("the band moves with the last trade", "S 1 105 5; B 3 95 1; S 2 95 1; B 2 market 5 collar=120", (Cancelled, none, 5), &[]),
        ("fill or kill at the market", "S 1 100 5; B 2 market 7 FOK", (Rejected, Some(Reason::FokUnfillable), 7), &[]),
        ("fill or kill counts inside the collar", "S 1 100 5; S 1 102 5; B 2 market 7 FOK collar=101", (Rejected, Some(Reason::FokUnfillable), 7), &[]),
        ("post-only at the market makes no sense", "B 1 market 1 post", (Rejected, Some(Reason::InvalidOrder), 1), &[]),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_checks_at_the_door() {
    let refused = |reason| (Rejected, Some(reason), 10);
    check(&[
        ("a late command does nothing", "B 1 100 10 late", refused(Reason::ExpiredRequest), &[]),
        ("a late command is late before all", "B 1 0 10 late other", refused(Reason::ExpiredRequest), &[]),
        ("no such symbol", "B 1 100 10 other", refused(Reason::UnknownSymbol), &[]),
        ("no shares", "B 1 100 0", (Rejected, Some(Reason::InvalidQuantity), 0), &[]),
        ("too many shares", "B 1 100 1000000001", (Rejected, Some(Reason::InvalidQuantity), 1_000_000_001), &[]),
        ("a price below the range", "B 1 0.99 10", refused(Reason::InvalidPrice), &[]),
        ("a price above the range", "B 1 10000.01 10", refused(Reason::InvalidPrice), &[]),
        ("a limit order has no stop price", "B 1 100 10 stop=101 plain", refused(Reason::InvalidOrder), &[]),
        ("an iceberg shows at least one share", "B 1 100 10 show=0", refused(Reason::InvalidOrder), &[]),
        ("and not more than it has", "B 1 100 10 show=11", refused(Reason::InvalidOrder), &[]),
        ("an immediate order shows nothing", "B 1 100 10 show=5 IOC", refused(Reason::InvalidOrder), &[]),
        ("post-only and immediate contradict", "B 1 100 10 post IOC", refused(Reason::InvalidOrder), &[]),
        ("an order id that is in the book", "B 1 100 10; B 1 100 10 twice", refused(Reason::InvalidOrder), &[]),
        ("while halted", "halt; B 1 100 10", refused(Reason::Halted), &[]),
        ("after the halt", "halt; resume; B 1 100 10", (Working, None, 10), &[]),
        ("outside the session", "close; B 1 100 10", refused(Reason::MarketClosed), &[]),
        ("closed comes before halted", "halt; close; B 1 100 10", refused(Reason::MarketClosed), &[]),
        ("a halt outlives the session", "halt; close; open; B 1 100 10", refused(Reason::Halted), &[]),
        ("delisted", "delist; B 1 100 10", refused(Reason::UnknownSymbol), &[]),
        ("at the upper edge of the band", "B 1 105 10", (Working, None, 10), &[]),
        ("beyond the upper edge", "B 1 105.01 10", refused(Reason::PriceBand), &[]),
        ("at the lower edge of the band", "B 1 95 10", (Working, None, 10), &[]),
        ("beyond the lower edge", "B 1 94.99 10", refused(Reason::PriceBand), &[]),
        ("the band follows the last trade", "S 1 104 1; B 2 104 1; B 1 109.20 10", (Working, None, 10), &[]),
        ("and leaves the reference behind", "S 1 104 1; B 2 104 1; B 1 98.79 10", refused(Reason::PriceBand), &[]),
    ]);
}

#[test]
#[rustfmt::skip]
fn post_only() {
    let refused = (Rejected, Some(Reason::PostOnlyWouldCross), 10);
    check(&[
        ("rests when it takes nothing", "S 1 101 10; B 2 100 10 post", (Working, None, 10), &[]),
        ("is refused when it would trade", "S 1 100 10; B 2 100 10 post", refused, &[]),
        ("is checked before self-trade prevention", "S 1 100 10; B 1 100 10 post resting", refused, &[]),
        ("trades as a maker", "B 2 100 10 post; S 1 100 10", (Filled, None, 0), &[(1, 100_00, 10)]),
    ]);
}

#[test]
#[rustfmt::skip]
fn self_trades() {
    let prevented = Some(Reason::SelfTrade);
    check(&[
        ("the incoming one gives way", "S 1 100 5; B 1 100 10", (Rejected, prevented, 10), &[]),
        ("what traded before stands", "S 2 100 5; S 1 100 5; B 1 100 12", (Cancelled, prevented, 7), &[(1, 100_00, 5)]),
        ("an own order that is not reached is none", "S 2 100 5; S 1 100 5; B 1 100 5", (Filled, None, 0), &[(1, 100_00, 5)]),
        ("the resting one gives way", "S 1 100 5; S 2 100 5; B 1 100 5 resting", (Filled, None, 0), &[(2, 100_00, 5)]),
        ("and the rest may rest", "S 1 100 5; B 1 100 5 resting", (Working, None, 5), &[]),
        ("both give way", "S 1 100 5; S 2 100 5; B 1 100 5 both", (Cancelled, prevented, 5), &[]),
        ("both, in the middle of a sweep", "S 2 100 5; S 1 100 5; B 1 100 7 both", (Cancelled, prevented, 2), &[(1, 100_00, 5)]),
        ("it never rests its remainder", "S 2 100 5; S 1 100 5; B 1 100 12; S 3 100 7", (Working, None, 7), &[]),
    ]);
    let ended = script("S 2 100 5; S 1 100 5; B 1 100 7 both").ended();
    assert_eq!(ended, [(2, Reason::SelfTrade, 5)], "the resting one is told so");
    assert_eq!(
        script("S 1 100 5; B 1 100 10").changes,
        [],
        "a refusal changes no level"
    );
}

#[test]
#[rustfmt::skip]
fn cancels() {
    let closed = (Rejected, Some(Reason::OrderClosed), 0);
    let by_client = Some(Reason::CancelledByClient);
    check(&[
        ("a resting order", "B 1 100 10; X 1 1", (Cancelled, by_client, 10), &[]),
        ("a part-filled order", "B 1 100 10; S 2 100 4; X 1 1", (Cancelled, by_client, 6), &[]),
        ("an order that never was", "X 1 1", closed, &[]),
        ("a filled order", "B 1 100 10; S 2 100 10; X 1 1", closed, &[]),
        ("twice", "B 1 100 10; X 1 1; X 1 1", closed, &[]),
        ("somebody else's", "B 1 100 10; X 2 1", (Rejected, Some(Reason::NotFound), 0), &[]),
        ("while halted", "B 1 100 10; halt; X 1 1", (Cancelled, by_client, 10), &[]),
        ("while closed", "B 1 100 10; close; X 1 1", (Cancelled, by_client, 10), &[]),
        ("after a delisting", "B 1 100 10; delist; X 1 1", closed, &[]),
        ("a cancelled order trades no more", "B 1 100 10; X 1 1; S 2 100 1 IOC", (Cancelled, Some(Reason::NoLiquidity), 1), &[]),
    ]);
}

#[test]
#[rustfmt::skip]
fn replaces() {
    check(&[
        ("less keeps the place", "S 1 100 9; S 2 100 5; R 1 1 100 4; B 3 100 5", (Filled, None, 0), &[(1, 100_00, 4), (2, 100_00, 1)]),
        ("the same keeps the place", "S 1 100 5; S 2 100 5; R 1 1 100 5; B 3 100 5", (Filled, None, 0), &[(1, 100_00, 5)]),
        ("more goes to the end", "S 1 100 5; S 2 100 5; R 1 1 100 6; B 3 100 5", (Filled, None, 0), &[(2, 100_00, 5)]),
        ("another price goes to the end", "S 1 101 5; S 2 100 5; R 1 1 100 5; B 3 100 5", (Filled, None, 0), &[(2, 100_00, 5)]),
        ("there and back goes to the end", "S 1 100 5; S 2 100 5; R 1 1 101 5; R 1 1 100 5; B 3 100 5", (Filled, None, 0), &[(2, 100_00, 5)]),
        ("it trades when it crosses", "S 1 102 5; B 2 100 7; R 1 1 100 5", (Filled, None, 0), &[(2, 100_00, 5)]),
        ("and rests what is left", "S 1 102 9; B 2 100 7; R 1 1 100 9", (Replaced, None, 2), &[(2, 100_00, 7)]),
        ("the quantity is the new total", "S 1 100 10; B 2 100 4; R 1 1 101 10", (Replaced, None, 6), &[]),
        ("a total that has traded ends it", "S 1 100 10; B 2 100 4; R 1 1 101 4", (Cancelled, Some(Reason::CancelledByClient), 6), &[]),
        ("of an unknown order", "R 1 1 100 5", (Rejected, Some(Reason::OrderClosed), 0), &[]),
        ("of a filled order", "S 1 100 5; B 2 100 5; R 1 1 100 9", (Rejected, Some(Reason::OrderClosed), 0), &[]),
        ("of somebody else's order", "S 1 100 5; R 2 1 100 5", (Rejected, Some(Reason::NotFound), 0), &[]),
        ("beyond the band", "S 1 100 5; R 1 1 106 5", (Rejected, Some(Reason::PriceBand), 5), &[]),
        ("into an immediate order", "S 1 100 5; R 1 1 100 5 IOC", (Rejected, Some(Reason::InvalidOrder), 5), &[]),
        ("while halted", "S 1 100 5; halt; R 1 1 101 5", (Rejected, Some(Reason::Halted), 5), &[]),
        ("post-only that would trade", "S 1 102 5 post; B 2 100 7; R 1 1 100 5", (Rejected, Some(Reason::PostOnlyWouldCross), 5), &[]),
        ("into an own order", "S 1 102 5; B 1 100 7; R 1 1 100 5", (Rejected, Some(Reason::SelfTrade), 5), &[]),
        ("into an own order behind others", "S 1 102 9; B 2 100 7; B 1 100 7; R 1 1 100 9", (Rejected, Some(Reason::SelfTrade), 9), &[]),
        ("an own order that gives way", "S 1 102 9 resting; B 1 100 7; B 2 100 7; R 1 1 100 7", (Filled, None, 0), &[(3, 100_00, 7)]),
        ("a refused one keeps its place", "S 1 100 5; S 2 100 5; R 1 1 106 5; B 3 100 5", (Filled, None, 0), &[(1, 100_00, 5)]),
        // The last trade at 104.80 has left 99.00 behind, but what stays may stay.
        ("a price that stays needs no band", "B 1 99 9; S 2 104.80 1; B 3 104.80 1; R 1 1 99 5", (Replaced, None, 5), &[]),
    ]);
    assert_eq!(
        script("S 1 100 5; R 1 1 100 5").changes,
        [],
        "the same terms change no level"
    );
}

#[test]
fn sessions_and_delisting_end_orders() {
    let closed = script("B 1 100 10 DAY; B 2 100 5; S 3 101 4 DAY; close");
    assert_eq!(
        closed.ended(),
        [(1, Reason::SessionEnded, 10), (3, Reason::SessionEnded, 4)]
    );
    let changes: Vec<_> = closed
        .changes
        .iter()
        .map(|level| (level.price_cents, level.quantity))
        .collect();
    assert_eq!(changes, [(100_00, 5), (101_00, 0)]);
    let delisted = script("B 1 100 10 DAY; B 2 100 5; S 3 101 4; delist");
    let ids: Vec<_> = delisted
        .ended()
        .iter()
        .map(|(order_id, cause, _)| (*order_id, *cause))
        .collect();
    assert_eq!(
        ids,
        [(1, Reason::Delisted), (2, Reason::Delisted), (3, Reason::Delisted)]
    );
}
