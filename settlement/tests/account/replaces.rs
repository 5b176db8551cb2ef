//! New terms: reserved for at once, settled by the book.

use brokerx_schemas::*;

use crate::bench::*;

const FEE_BPS: i64 = 5;

fn with_fee(notional: i64) -> i64 {
    notional + (notional * FEE_BPS + 5_000) / 10_000
}

/// A working buy of 10 at 100.00 and a replace of it in flight.
fn replacing(quantity: i64, price_cents: i64) -> (Bench, NewOrder, CommandId) {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let order = bench.working(Side::Buy, 10, 100_00);
    let replace = bench.replace(order.order_id, quantity, price_cents);
    let command_id = replace.meta.command_id;
    bench.apply(AccountCommand::ReplaceOrder(replace));
    assert_eq!(bench.event().kind, AccountEventKind::OrderReplaceRequested);
    (bench, order, command_id)
}

#[test]
fn the_greater_of_both_terms_is_reserved_until_the_answer() {
    for (quantity, price, in_flight, after) in [
        (20, 100_00, 2_000_00, 2_000_00),
        (5, 100_00, 1_000_00, 500_00),
        (10, 90_00, 1_000_00, 900_00),
        (10, 110_00, 1_100_00, 1_100_00),
    ] {
        let (mut bench, order, command_id) = replacing(quantity, price);
        assert_eq!(bench.account(ALICE).cash.reserved_cents, with_fee(in_flight));
        bench.done(&order, command_id, BookStatus::Replaced, None, quantity);
        assert_eq!(bench.event().kind, AccountEventKind::OrderReplaced);
        let view = bench.reply().order.clone().unwrap();
        assert_eq!(
            (view.version, view.quantity, view.price_cents),
            (2, quantity, Some(price))
        );
        assert_eq!(bench.account(ALICE).cash.reserved_cents, with_fee(after));
    }
}

#[test]
fn a_refused_replace_leaves_the_order_and_releases_the_rest() {
    let (mut bench, order, command_id) = replacing(20, 110_00);
    bench.done(&order, command_id, BookStatus::Rejected, Some(Reason::PriceBand), 10);
    assert_eq!(bench.refused(), Reason::PriceBand);
    assert_eq!(bench.event().kind, AccountEventKind::OrderReplaceRejected);
    let view = bench.reply().order.clone().unwrap();
    assert_eq!(
        (view.version, view.quantity, view.price_cents, view.status),
        (1, 10, Some(100_00), OrderStatus::Working)
    );
    assert_eq!(bench.account(ALICE).cash.reserved_cents, with_fee(1_000_00));
}

#[test]
fn replaced_after_the_full_fill() {
    let (mut bench, order, command_id) = replacing(20, 100_00);
    bench.fill(&order, 10, 100_00, 0);
    assert_eq!(
        bench.account(ALICE).cash.reserved_cents,
        0,
        "the extra reservation is released"
    );
    bench.done(&order, command_id, BookStatus::Rejected, Some(Reason::OrderClosed), 0);
    assert_eq!(bench.refused(), Reason::OrderClosed);
    assert_eq!(bench.reply().order.as_ref().unwrap().status, OrderStatus::Filled);
}

#[test]
fn one_replace_is_in_flight_and_a_cancel_passes_it() {
    let (mut bench, order, command_id) = replacing(20, 100_00);
    let second = bench.replace(order.order_id, 30, 100_00);
    bench.apply(AccountCommand::ReplaceOrder(second));
    assert_eq!(bench.refused(), Reason::ChangePending);
    let cancel = bench.cancel(order.order_id);
    let cancel_id = cancel.meta.command_id;
    bench.apply(AccountCommand::CancelOrder(cancel));
    assert_eq!(bench.forwarded.len(), 1);
    bench.done(&order, command_id, BookStatus::Replaced, None, 20);
    bench.done(&order, cancel_id, BookStatus::Cancelled, None, 20);
    assert_eq!(bench.account(ALICE).cash.reserved_cents, 0);
}

/// The new terms cross the book: their fills come before the answer, and what they leave counts
/// from the new total.
#[test]
fn new_terms_may_trade_before_the_answer() {
    let (mut bench, order, command_id) = replacing(20, 110_00);
    bench.fill(&order, 12, 105_00, 8);
    let view = bench.event().order.clone().unwrap();
    assert_eq!(
        (view.quantity, view.version, view.status),
        (20, 2, OrderStatus::PartiallyFilled)
    );
    // The new terms stand, but their answer is outstanding: the replace is still in flight.
    let mut second = bench.replace(order.order_id, 30, 110_00);
    second.client_version = 2;
    bench.apply(AccountCommand::ReplaceOrder(second));
    assert_eq!(bench.refused(), Reason::ChangePending);
    bench.done(&order, command_id, BookStatus::Replaced, None, 8);
    assert_eq!(bench.reply().order.as_ref().unwrap().version, 2);
    assert_eq!(bench.account(ALICE).frozen, None);

    let (mut bench, order, command_id) = replacing(5, 110_00);
    bench.fill(&order, 5, 105_00, 0);
    bench.done(&order, command_id, BookStatus::Filled, None, 0);
    let view = bench.reply().order.clone().unwrap();
    assert_eq!((view.quantity, view.status, view.version), (5, OrderStatus::Filled, 2));
    assert_eq!(bench.account(ALICE).cash.reserved_cents, 0);
    assert_eq!(bench.account(ALICE).frozen, None);
}

#[test]
fn a_total_that_has_traded_ends_the_order() {
    let (mut bench, order, command_id) = replacing(4, 100_00);
    bench.fill(&order, 6, 100_00, 4);
    bench.done(
        &order,
        command_id,
        BookStatus::Cancelled,
        Some(Reason::CancelledByClient),
        4,
    );
    let view = bench.reply().order.clone().unwrap();
    assert_eq!(
        (view.status, view.quantity, view.filled_quantity),
        (OrderStatus::Cancelled, 6, 6)
    );
    assert_eq!(bench.account(ALICE).cash.reserved_cents, 0);
}

/// As books say it since version 2, whenever the total had traded: before the request or while it was in flight.
#[test]
fn a_total_that_has_traded_fills_the_order() {
    let (mut bench, order, command_id) = replacing(4, 100_00);
    bench.fill(&order, 4, 100_00, 6);
    bench.done(&order, command_id, BookStatus::Filled, None, 0);
    assert_eq!(
        bench.kinds(),
        [AccountEventKind::OrderReplaced, AccountEventKind::OrderFilled]
    );
    let view = bench.reply().order.clone().unwrap();
    assert_eq!(
        (
            view.status,
            view.reason,
            view.quantity,
            view.filled_quantity,
            view.version
        ),
        (OrderStatus::Filled, None, 4, 4, 2)
    );
    let account = bench.account(ALICE);
    assert_eq!((account.cash.reserved_cents, account.frozen), (0, None));
    // It has ended: a cancel comes too late.
    let cancel = bench.cancel(order.order_id);
    bench.apply(AccountCommand::CancelOrder(cancel));
    assert_eq!(bench.refused(), Reason::OrderClosed);
}

#[test]
fn a_total_below_what_has_traded_is_refused_and_changes_nothing() {
    let (mut bench, order, command_id) = replacing(4, 90_00);
    bench.fill(&order, 5, 100_00, 5);
    bench.done(
        &order,
        command_id,
        BookStatus::Rejected,
        Some(Reason::QuantityBelowFilled),
        5,
    );
    assert_eq!(bench.refused(), Reason::QuantityBelowFilled);
    let view = bench.reply().order.clone().unwrap();
    assert_eq!(
        (
            view.status,
            view.quantity,
            view.price_cents,
            view.filled_quantity,
            view.version
        ),
        (OrderStatus::PartiallyFilled, 10, Some(100_00), 5, 1)
    );
    assert_eq!(bench.account(ALICE).cash.reserved_cents, with_fee(500_00));
}

/// A book that says filled although shares are left contradicts itself.
#[test]
fn an_order_is_not_filled_by_a_total_that_has_not_traded() {
    let (mut bench, order, command_id) = replacing(5, 100_00);
    bench.fill(&order, 4, 100_00, 6);
    bench.done(&order, command_id, BookStatus::Filled, None, 0);
    assert!(bench.account(ALICE).frozen.is_some());
}

#[test]
fn a_larger_total_must_not_make_an_iceberg_show_too_little() {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let mut order = bench.limit(Side::Buy, 10, 100_00);
    order.display_quantity = Some(1);
    let order = bench.place(order);
    bench.done(&order, order.command_id, BookStatus::Working, None, 10);
    let more = bench.replace(order.order_id, 11, 100_00);
    bench.apply(AccountCommand::ReplaceOrder(more));
    assert_eq!(bench.refused(), Reason::DisplayTooSmall);
    let less = bench.replace(order.order_id, 9, 90_00);
    bench.apply(AccountCommand::ReplaceOrder(less));
    assert_eq!(bench.forwarded.len(), 1);
}

#[test]
fn a_replace_meets_its_checks_in_order() {
    let mut bench = Bench::new();
    bench.fund(3_000_00);
    let order = bench.working(Side::Buy, 10, 100_00);
    let mut replace = bench.replace(OrderId(7), 0, 1);
    replace.client_version = 9;
    replace.time_in_force = Some(TimeInForce::Ioc);
    bench.status(ALICE, AccountState::Suspended, 2);
    let check = |bench: &mut Bench, replace: &ReplaceOrder, expected| {
        bench.apply(AccountCommand::ReplaceOrder(replace.clone()));
        assert_eq!(bench.refused(), expected);
    };
    check(&mut bench, &replace, Reason::NotFound);
    replace.order_id = order.order_id;
    check(&mut bench, &replace, Reason::VersionConflict);
    replace.client_version = 1;
    check(&mut bench, &replace, Reason::AccountNotActive);
    bench.status(ALICE, AccountState::Active, 3);
    check(&mut bench, &replace, Reason::InvalidQuantity);
    replace.quantity = Some(1_000_000);
    check(&mut bench, &replace, Reason::InvalidPrice);
    replace.price_cents = Some(100_00);
    check(&mut bench, &replace, Reason::InvalidOrder);
    replace.time_in_force = Some(TimeInForce::Gtc);
    check(&mut bench, &replace, Reason::OrderLimit);
    replace.quantity = Some(30);
    check(&mut bench, &replace, Reason::InsufficientFunds);
    replace.quantity = Some(20);
    bench.apply(AccountCommand::ReplaceOrder(replace));
    assert_eq!(bench.forwarded.len(), 1);
}

#[test]
fn an_order_may_be_replaced_again_once_the_book_has_answered() {
    let (mut bench, order, command_id) = replacing(20, 100_00);
    bench.done(&order, command_id, BookStatus::Replaced, None, 20);
    let mut second = bench.replace(order.order_id, 30, 100_00);
    bench.apply(AccountCommand::ReplaceOrder(second.clone()));
    assert_eq!(bench.refused(), Reason::VersionConflict);
    second.meta = bench.meta();
    second.client_version = 2;
    let command_id = second.meta.command_id;
    bench.apply(AccountCommand::ReplaceOrder(second));
    bench.done(&order, command_id, BookStatus::Replaced, None, 30);
    assert_eq!(bench.reply().order.as_ref().unwrap().version, 3);
}
