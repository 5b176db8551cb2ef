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
use brokerx_matcher::naive::Outcome;
use brokerx_schemas::*;
use common::*;

/// Runs a script against a fresh desk and returns what its last line caused.
///
/// `B|S account price quantity [options]` places a limit order, price `market` a market order.
/// Options: IOC FOK DAY post resting both stop iceberg late collar=C. `X account order` cancels,
/// `R account order price quantity` replaces, `halt resume open close delist` act on the instrument.
fn script(text: &str) -> Outcome {
    let mut desk = Desk::new();
    let mut orders = 0;
    let mut last = Outcome::default();
    for line in text.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        last = outcome(&desk.feed(command(line, &mut orders)));
        if let Some(book) = desk.matcher().book(symbol()) {
            book.check_all().unwrap();
        }
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
                    "stop" => order.order_type = OrderType::Stop,
                    "iceberg" => order.display_quantity = Some(1),
                    "late" => order.deadline_us = NOW_MS * 1_000 - 1,
                    "other" => order.symbol = Symbol::new("OTHER").unwrap(),
                    "twice" => order.order_id = OrderId(1),
                    collar => order.collar_price_cents = Some(cents(collar.strip_prefix("collar=").unwrap())),
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
            price_cents: Some(cents(words[3])),
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
type Case = (
    &'static str,
    &'static str,
    (BookStatus, Option<Reason>, i64),
    &'static [(i64, i64, i64)],
);

fn check(cases: &[Case]) {
    for (name, text, done, trades) in cases {
        let outcome = script(text);
        assert_eq!(outcome.done, Some(*done), "{name}");
        let seen: Vec<_> = outcome
            .trades
            .iter()
            .map(|trade| (trade.maker_order_id, trade.price_cents, trade.quantity))
            .collect();
        assert_eq!(seen, *trades, "{name}");
    }
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
        ("stops are not served yet", "B 1 100 10 stop", refused(Reason::InvalidOrder), &[]),
        ("icebergs are not served yet", "B 1 100 10 iceberg", refused(Reason::InvalidOrder), &[]),
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
    let ended = script("S 2 100 5; S 1 100 5; B 1 100 7 both").ended;
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
        closed.ended,
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
        .ended
        .iter()
        .map(|(order_id, cause, _)| (*order_id, *cause))
        .collect();
    assert_eq!(
        ids,
        [(1, Reason::Delisted), (2, Reason::Delisted), (3, Reason::Delisted)]
    );
}
