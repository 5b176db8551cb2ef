//! Limit, immediate, market and post-only orders, and what an order meets at the door.

use BookStatus::{Cancelled, Filled, Rejected, Working};
use brokerx_schemas::*;

use crate::script::check;

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
