//! Self-trades, cancels, replaces, and what the rules end.

use BookStatus::{Cancelled, Filled, Rejected, Replaced, Working};
use brokerx_schemas::*;

use crate::script::{check, script};

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
        ("a total that has traded ends it as filled", "S 1 100 10; B 2 100 4; R 1 1 101 4", (Filled, None, 0), &[]),
        ("at its price too", "S 1 100 10; B 2 100 4; R 1 1 100 4", (Filled, None, 0), &[]),
        ("it is gone then", "S 1 100 10; B 2 100 4; R 1 1 100 4; X 1 1", (Rejected, Some(Reason::OrderClosed), 0), &[]),
        ("less than has traded is refused", "S 1 100 10; B 2 100 4; R 1 1 101 3", (Rejected, Some(Reason::QuantityBelowFilled), 6), &[]),
        ("and changes nothing", "S 1 100 10; S 3 100 9; B 2 100 4; R 1 1 100 3; B 2 100 7", (Filled, None, 0), &[(1, 100_00, 6), (2, 100_00, 1)]),
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
