//! What the client is told when commands and fills cross.

use brokerx_schemas::*;

use crate::bench::*;

/// A funded account with a working buy of 10 at 100.00.
fn resting() -> (Bench, NewOrder) {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let order = bench.working(Side::Buy, 10, 100_00);
    (bench, order)
}

#[test]
fn filled_before_the_cancel_arrives_in_the_book() {
    let (mut bench, order) = resting();
    let cancel = bench.cancel(order.order_id);
    let command_id = cancel.meta.command_id;
    bench.apply(AccountCommand::CancelOrder(cancel));
    assert_eq!(bench.event().kind, AccountEventKind::OrderCancelRequested);
    assert!(matches!(bench.forwarded[..], [BookCommand::CancelBookOrder(_)]));
    bench.fill(&order, 10, 100_00, 0);
    bench.done(&order, command_id, BookStatus::Rejected, Some(Reason::OrderClosed), 0);
    assert_eq!(bench.refused(), Reason::OrderClosed);
    assert_eq!(bench.event().kind, AccountEventKind::CommandRefused);
    assert_eq!(bench.reply().order.as_ref().unwrap().status, OrderStatus::Filled);
}

#[test]
fn filled_before_the_cancel_arrives_here() {
    let (mut bench, order) = resting();
    bench.fill(&order, 10, 100_00, 0);
    let cancel = bench.cancel(order.order_id);
    bench.apply(AccountCommand::CancelOrder(cancel));
    assert_eq!(bench.refused(), Reason::OrderClosed);
    assert!(bench.forwarded.is_empty());
    assert_eq!(bench.reply().order.as_ref().unwrap().filled_quantity, 10);
}

#[test]
fn partly_filled_then_cancelled() {
    let (mut bench, order) = resting();
    let cancel = bench.cancel(order.order_id);
    let command_id = cancel.meta.command_id;
    bench.apply(AccountCommand::CancelOrder(cancel));
    bench.fill(&order, 3, 100_00, 7);
    bench.done(
        &order,
        command_id,
        BookStatus::Cancelled,
        Some(Reason::CancelledByClient),
        7,
    );
    assert_eq!(bench.reply().kind, ReplyKind::Order);
    let view = bench.reply().order.clone().unwrap();
    assert_eq!(
        (view.status, view.reason),
        (OrderStatus::Cancelled, Some(Reason::CancelledByClient))
    );
    assert_eq!((view.filled_quantity, view.reserved_cents), (3, 0));
    assert_eq!(bench.account(ALICE).cash.reserved_cents, 0);
}

#[test]
fn a_cancel_is_forwarded_whatever_is_in_flight_and_each_is_answered() {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let order = bench.limit(Side::Buy, 10, 100_00);
    let order = bench.place(order);
    let mut cancels = Vec::new();
    for _ in 0..2 {
        let cancel = bench.cancel(order.order_id);
        cancels.push(cancel.meta.command_id);
        bench.apply(AccountCommand::CancelOrder(cancel));
        assert_eq!(bench.forwarded.len(), 1);
    }
    bench.done(&order, order.command_id, BookStatus::Working, None, 10);
    bench.done(&order, cancels[0], BookStatus::Cancelled, None, 10);
    assert_eq!(
        (bench.reply().kind, bench.reply().command_id),
        (ReplyKind::Order, cancels[0])
    );
    bench.done(&order, cancels[1], BookStatus::Rejected, Some(Reason::OrderClosed), 0);
    assert_eq!(
        (bench.refused(), bench.reply().command_id),
        (Reason::OrderClosed, cancels[1])
    );
}

#[test]
fn what_the_book_refuses_or_cancels_at_once() {
    let table = [
        (
            BookStatus::Cancelled,
            Reason::NoLiquidity,
            0,
            OrderStatus::Cancelled,
            ReplyKind::Order,
        ),
        (
            BookStatus::Cancelled,
            Reason::SelfTrade,
            4,
            OrderStatus::Cancelled,
            ReplyKind::Order,
        ),
        (
            BookStatus::Rejected,
            Reason::FokUnfillable,
            0,
            OrderStatus::Rejected,
            ReplyKind::Refused,
        ),
        (
            BookStatus::Rejected,
            Reason::PriceBand,
            0,
            OrderStatus::Rejected,
            ReplyKind::Refused,
        ),
        (
            BookStatus::Rejected,
            Reason::UnknownSymbol,
            0,
            OrderStatus::Rejected,
            ReplyKind::Refused,
        ),
    ];
    for (book, reason, filled, status, kind) in table {
        let mut bench = Bench::new();
        bench.fund(10_000_00);
        let order = PlaceOrder {
            time_in_force: TimeInForce::Ioc,
            ..bench.limit(Side::Buy, 10, 100_00)
        };
        let order = bench.place(order);
        if filled > 0 {
            bench.fill(&order, filled, 99_00, 10 - filled);
        }
        bench.done(&order, order.command_id, book, Some(reason), 10 - filled);
        let reply = bench.reply();
        let view = reply.order.as_ref().unwrap();
        assert_eq!(
            (reply.kind, view.status, view.reason),
            (kind, status, Some(reason)),
            "{reason:?}"
        );
        assert_eq!(reply.executions.len(), usize::from(filled > 0));
        assert_eq!(
            reply.refusal.as_ref().map(|refusal| refusal.reason),
            (kind == ReplyKind::Refused).then_some(reason)
        );
        assert_eq!(bench.account(ALICE).cash.reserved_cents, 0);
    }
}

#[test]
fn a_cancel_meets_its_checks_in_order() {
    let (mut bench, order) = resting();
    let mut cancel = bench.cancel(OrderId(7));
    cancel.client_version = Some(2);
    cancel.meta.deadline_us = 0;
    bench.apply(AccountCommand::CancelOrder(cancel.clone()));
    assert_eq!(bench.refused(), Reason::ExpiredRequest);
    cancel.meta.deadline_us = i64::MAX;
    bench.apply(AccountCommand::CancelOrder(cancel.clone()));
    assert_eq!(bench.refused(), Reason::NotFound);
    cancel.order_id = order.order_id;
    bench.apply(AccountCommand::CancelOrder(cancel.clone()));
    assert_eq!(bench.refused(), Reason::VersionConflict);
    assert_eq!(bench.reply().refusal.as_ref().unwrap().current_version, Some(1));
    cancel.client_version = Some(1);
    bench.status(BOB, AccountState::Active, 1);
    let others = CancelOrder {
        account_id: BOB,
        ..cancel.clone()
    };
    bench.apply(AccountCommand::CancelOrder(others));
    assert_eq!(bench.refused(), Reason::NotFound, "somebody else's order is not found");
    assert_eq!(bench.reply().order, None);
    bench.apply(AccountCommand::CancelOrder(cancel));
    assert_eq!(bench.forwarded.len(), 1);
}
