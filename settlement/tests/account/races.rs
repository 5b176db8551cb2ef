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
fn before_logic_version_2_each_cancel_is_forwarded_and_answered() {
    let mut bench = Bench::of_version(1, Config::default());
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

/// A place, a replace and three cancels of one order were in flight, of which the book has answered the place
/// and the replace, which came first; and what the cancels are called.
fn three_cancels() -> (Bench, NewOrder, [CommandId; 3]) {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let order = bench.limit(Side::Buy, 10, 100_00);
    let order = bench.place(order);
    let replace = bench.replace(order.order_id, 5, 100_00);
    let replace_id = replace.meta.command_id;
    bench.apply(AccountCommand::ReplaceOrder(replace));
    let cancels = [1, 0, 0].map(|forwarded| {
        let mut cancel = bench.cancel(order.order_id);
        cancel.idempotency_key = Some(format!("key-{}", cancel.meta.command_id));
        bench.apply(AccountCommand::CancelOrder(cancel.clone()));
        assert_eq!(bench.forwarded.len(), forwarded, "only the first goes to the book");
        assert_eq!(bench.events.len(), forwarded);
        cancel.meta.command_id
    });
    bench.restore();
    bench.done(&order, order.command_id, BookStatus::Working, None, 10);
    bench.done(&order, replace_id, BookStatus::Rejected, Some(Reason::PriceBand), 10);
    (bench, order, cancels)
}

#[test]
fn one_cancel_is_in_flight_and_its_answer_is_that_of_the_others() {
    for (status, reason, refused) in [
        (BookStatus::Cancelled, None, None),
        (
            BookStatus::Rejected,
            Some(Reason::OrderClosed),
            Some(Reason::OrderClosed),
        ),
    ] {
        let (mut bench, order, cancels) = three_cancels();
        if refused.is_some() {
            bench.fill(&order, 10, 100_00, 0);
        }
        bench.done(&order, cancels[0], status, reason, 10);
        let told: Vec<_> = bench.replies.iter().map(|reply| reply.command_id).collect();
        assert_eq!(told, cancels);
        for reply in &bench.replies {
            assert_eq!(reply.refusal.as_ref().map(|refusal| refusal.reason), refused);
        }
        // Each was remembered under its own key.
        for command_id in cancels {
            let again = CancelOrder {
                idempotency_key: Some(format!("key-{command_id}")),
                ..bench.cancel(order.order_id)
            };
            bench.apply(AccountCommand::CancelOrder(again));
            assert!(bench.reply().replayed && bench.events.is_empty());
        }
    }
}

#[test]
fn a_cancel_that_came_too_late_makes_way_for_the_next() {
    let (mut bench, order, cancels) = three_cancels();
    // The second is asked for again: its answer goes to whoever asked last.
    let again = CancelOrder {
        idempotency_key: Some(format!("key-{}", cancels[1])),
        ..bench.cancel(order.order_id)
    };
    let asked_last = again.meta.command_id;
    bench.apply(AccountCommand::CancelOrder(again));
    assert!(bench.emissions.is_empty());
    bench.done(
        &order,
        cancels[0],
        BookStatus::Rejected,
        Some(Reason::ExpiredRequest),
        10,
    );
    assert_eq!(
        (bench.reply().command_id, bench.refused()),
        (cancels[0], Reason::ExpiredRequest)
    );
    match bench.forwarded[..] {
        [BookCommand::CancelBookOrder(next)] => assert_eq!(next.command_id, cancels[1]),
        _ => panic!("{:?}", bench.forwarded),
    }
    bench.restore();
    bench.done(&order, cancels[1], BookStatus::Cancelled, None, 10);
    let told: Vec<_> = bench.replies.iter().map(|reply| reply.command_id).collect();
    assert_eq!(told, [asked_last, cancels[2]]);
}

#[test]
fn cancels_in_a_loop_are_bounded() {
    let (mut bench, order) = resting();
    let cancel_all = |bench: &mut Bench| {
        let meta = bench.meta();
        bench.apply(AccountCommand::CancelAllOrders(CancelAllOrders {
            meta,
            account_id: ALICE,
            symbol: None,
            idempotency_key: None,
        }));
        bench.forwarded.len()
    };
    let first = bench.cancel(order.order_id);
    let first_id = first.meta.command_id;
    bench.apply(AccountCommand::CancelOrder(first));
    let one_more = |bench: &mut Bench| {
        let cancel = bench.cancel(order.order_id);
        bench.apply(AccountCommand::CancelOrder(cancel));
        assert!(bench.forwarded.is_empty() && bench.events.is_empty());
        bench
            .replies
            .first()
            .map(|reply| reply.refusal.as_ref().unwrap().reason)
    };
    for _ in 0..16 {
        assert_eq!(one_more(&mut bench), None);
    }
    assert_eq!(one_more(&mut bench), Some(Reason::TooManyRequests));
    let mut size = 0;
    for round in 0..100 {
        assert_eq!(cancel_all(&mut bench), 0, "a cancel is in flight");
        let now: usize = slices(bench.machine()).iter().map(Vec::len).sum();
        assert!(round < 1 || now <= size + 8, "only numbers grow: {size} {now}");
        size = now;
    }
    // No deadline stops the kill of all, whatever became of the cancel before it.
    for _ in 0..17 {
        let in_flight = match bench.forwarded[..] {
            [BookCommand::CancelBookOrder(cancel)] => cancel.command_id,
            _ => first_id,
        };
        bench.done(
            &order,
            in_flight,
            BookStatus::Rejected,
            Some(Reason::ExpiredRequest),
            10,
        );
    }
    let BookCommand::CancelBookOrder(last) = bench.forwarded[0] else {
        panic!("{:?}", bench.forwarded)
    };
    assert_eq!(last.deadline_us, i64::MAX);
    assert_eq!(cancel_all(&mut bench), 0);
    bench.done(&order, last.command_id, BookStatus::Cancelled, None, 10);
    let view = bench.event().order.clone().unwrap();
    assert_eq!(
        (view.status, view.reason),
        (OrderStatus::Cancelled, Some(Reason::CancelledAll))
    );
}

#[test]
fn both_sides_of_a_trade_end_with_the_same_word() {
    let filled = AccountEventKind::OrderFilled;
    // The maker: only the fill tells.
    let (mut bench, order) = resting();
    bench.fill(&order, 10, 100_00, 0);
    assert_eq!(bench.kinds(), [AccountEventKind::OrderExecuted, filled]);
    // The taker: the book's answer tells.
    let taker = bench.limit(Side::Buy, 10, 100_00);
    let taker = bench.place(taker);
    bench.fill(&taker, 10, 100_00, 0);
    assert_eq!(bench.kinds(), [AccountEventKind::OrderExecuted]);
    bench.done(&taker, taker.command_id, BookStatus::Filled, None, 0);
    assert_eq!(bench.kinds(), [filled]);
    // A replace in flight, applied or refused by the book: its answer tells.
    for (status, reason, first) in [
        (BookStatus::Filled, None, AccountEventKind::OrderReplaced),
        (
            BookStatus::Rejected,
            Some(Reason::OrderClosed),
            AccountEventKind::OrderReplaceRejected,
        ),
    ] {
        let (mut bench, order) = resting();
        let replace = bench.replace(order.order_id, 12, 100_00);
        let command_id = replace.meta.command_id;
        bench.apply(AccountCommand::ReplaceOrder(replace));
        let quantity = if reason.is_none() { 12 } else { 10 };
        bench.fill(&order, quantity, 100_00, 0);
        assert_eq!(bench.kinds(), [AccountEventKind::OrderExecuted]);
        bench.done(&order, command_id, status, reason, 0);
        assert_eq!(bench.kinds(), [first, filled]);
        assert_eq!(bench.replies.len(), 1);
    }
}
