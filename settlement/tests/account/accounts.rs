//! Accounts: their status, limits, kill switch, and the freeze.

use brokerx_schemas::*;
use brokerx_settlement::account::BrokenInvariant;

use crate::bench::*;

fn sweep_all(bench: &mut Bench, symbol: Option<Symbol>) {
    let command = CancelAllOrders {
        meta: bench.meta(),
        account_id: ALICE,
        symbol,
        idempotency_key: None,
    };
    bench.apply(AccountCommand::CancelAllOrders(command));
}

fn kill(bench: &mut Bench, engaged: bool) {
    let command = SetKillSwitch {
        meta: bench.meta(),
        account_id: ALICE,
        engaged,
        operator: None,
        idempotency_key: None,
    };
    bench.apply(AccountCommand::SetKillSwitch(command));
}

#[test]
fn only_a_higher_version_of_the_status_counts() {
    let mut bench = Bench::new();
    bench.status(ALICE, AccountState::Suspended, 3);
    assert_eq!(bench.event().kind, AccountEventKind::StatusChanged);
    for version in [3, 2, 1] {
        bench.status(ALICE, AccountState::Active, version);
        assert!(bench.emissions.is_empty());
    }
    assert_eq!(bench.account(ALICE).status.state, AccountState::Suspended);
}

#[test]
fn a_stranger_is_refused_and_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let hash = bench.fold.state_hash();
    let mut order = bench.limit(Side::Buy, 1, 10_00);
    order.account_id = BOB;
    let mut deposit = bench.payment(500_00);
    deposit.account_id = BOB;
    let mut cancel = bench.cancel(OrderId(1));
    cancel.account_id = BOB;
    for (command, reason) in [
        (AccountCommand::PlaceOrder(order), Reason::AccountNotActive),
        (AccountCommand::Deposit(deposit), Reason::AccountNotActive),
        (AccountCommand::CancelOrder(cancel), Reason::NotFound),
    ] {
        bench.apply(command);
        assert_eq!(bench.refused(), reason);
        assert_eq!(bench.reply().account_seq, None);
        assert!(bench.events.is_empty());
    }
    assert_eq!(bench.fold.state_hash(), hash);
}

#[test]
fn all_orders_are_cancelled_in_bounded_steps() {
    let mut bench = Bench::with(Config {
        open_orders_max: 1_000,
        ..Config::default()
    });
    bench.fund(10_000_00);
    let orders: Vec<_> = (0..250).map(|_| bench.working(Side::Buy, 1, 10_00)).collect();
    let mut other = bench.limit(Side::Buy, 1, 10_00);
    other.symbol = Symbol::new("MSFT").unwrap();
    bench.place(other);

    sweep_all(&mut bench, Some(aapl()));
    assert_eq!(bench.event().kind, AccountEventKind::CancelAllRequested);
    assert_eq!(bench.reply().kind, ReplyKind::Account);
    assert_eq!(bench.forwarded.len(), 250);
    let cancels: Vec<_> = bench
        .forwarded
        .iter()
        .map(|command| match command {
            BookCommand::CancelBookOrder(cancel) => *cancel,
            other => panic!("{other:?}"),
        })
        .collect();
    for (order, cancel) in orders.iter().zip(&cancels) {
        assert_eq!(order.order_id, cancel.order_id);
        bench.done(
            order,
            cancel.command_id,
            BookStatus::Cancelled,
            Some(Reason::CancelledByClient),
            1,
        );
        assert_eq!(bench.event().order.as_ref().unwrap().reason, Some(Reason::CancelledAll));
        assert!(bench.replies.is_empty());
    }
    sweep_all(&mut bench, None);
    assert_eq!(bench.forwarded.len(), 1);
}

#[test]
fn the_kill_switch_cancels_all_and_refuses_new_orders_until_it_is_lifted() {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    bench.working(Side::Buy, 1, 10_00);
    kill(&mut bench, true);
    assert_eq!(bench.event().kind, AccountEventKind::KillSwitchChanged);
    assert!(bench.event().status.unwrap().kill_switch);
    assert_eq!(bench.forwarded.len(), 1);
    let order = bench.limit(Side::Buy, 1, 10_00);
    bench.apply(AccountCommand::PlaceOrder(order));
    assert_eq!(bench.refused(), Reason::AccountNotActive);
    kill(&mut bench, false);
    assert!(bench.forwarded.is_empty());
    bench.working(Side::Buy, 1, 10_00);
}

#[test]
fn limits_are_an_account_s_own() {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let mut set = SetLimits {
        meta: bench.meta(),
        account_id: ALICE,
        operator: "operator".to_owned(),
        idempotency_key: None,
        limits: AccountLimits {
            order_quantity_max: 5,
            order_notional_cents_max: 100_00,
            open_orders_max: -1,
        },
    };
    bench.apply(AccountCommand::SetLimits(set.clone()));
    assert_eq!(bench.refused(), Reason::InvalidOrder);
    set.limits.open_orders_max = 3;
    bench.apply(AccountCommand::SetLimits(set.clone()));
    assert_eq!(bench.event().limits, Some(set.limits));
    for (quantity, price) in [(6, 10_00), (5, 20_01)] {
        let order = bench.limit(Side::Buy, quantity, price);
        bench.apply(AccountCommand::PlaceOrder(order));
        assert_eq!(bench.refused(), Reason::OrderLimit);
    }
    bench.working(Side::Buy, 5, 20_00);
}

#[test]
fn what_contradicts_the_state_freezes_the_account_and_nothing_else() {
    type Cause = fn(&mut Bench, &NewOrder);
    let table: [(&str, BrokenInvariant, Cause); 7] = [
        ("unknown order", BrokenInvariant::UnknownOrder, |bench, order| {
            let other = NewOrder {
                order_id: OrderId(7),
                ..*order
            };
            bench.fill(&other, 1, 10_00, 9);
        }),
        ("unknown command", BrokenInvariant::UnknownCommand, |bench, order| {
            bench.done(order, CommandId([9; 16]), BookStatus::Working, None, 10);
        }),
        ("too many shares", BrokenInvariant::ImpossibleFill, |bench, order| {
            bench.fill(order, 11, 10_00, 0);
        }),
        ("beyond the limit", BrokenInvariant::ImpossibleFill, |bench, order| {
            bench.fill(order, 1, 10_01, 9);
        }),
        ("leaves disagree", BrokenInvariant::ImpossibleFill, |bench, order| {
            bench.fill(order, 1, 10_00, 8);
        }),
        ("the other side", BrokenInvariant::ImpossibleFill, |bench, order| {
            let other = NewOrder {
                side: Side::Sell,
                ..*order
            };
            bench.fill(&other, 1, 10_00, 9);
        }),
        (
            "ended with other leaves",
            BrokenInvariant::ImpossibleAnswer,
            |bench, order| {
                bench.apply(AccountCommand::OrderEnded(OrderEnded {
                    account_id: ALICE,
                    order_id: order.order_id,
                    symbol: aapl(),
                    cause: Reason::Delisted,
                    leaves_quantity: 3,
                }));
            },
        ),
    ];
    for (name, broken, cause) in table {
        let mut bench = Bench::new();
        bench.status(BOB, AccountState::Active, 1);
        bench.fund(1_000_00);
        let order = bench.working(Side::Buy, 10, 10_00);
        let before = bench.account(ALICE);
        cause(&mut bench, &order);
        assert_eq!(bench.event().kind, AccountEventKind::Frozen, "{name}");
        let sweep = match bench.forwarded[..] {
            [BookCommand::CancelBookOrder(cancel)] => cancel,
            [
                BookCommand::CancelBookOrder(stray),
                BookCommand::CancelBookOrder(cancel),
            ] if name == "unknown order" && stray.order_id == OrderId(7) => cancel,
            _ => panic!("{name}: its open order leaves the book: {:?}", bench.forwarded),
        };
        assert_eq!((sweep.order_id, sweep.deadline_us), (order.order_id, i64::MAX));
        let after = bench.account(ALICE);
        assert_eq!(after.frozen, Some(broken), "{name}");
        assert_eq!(
            (after.cash, after.positions, after.orders),
            (before.cash, before.positions, before.orders)
        );
        bench.restore();

        let new = bench.limit(Side::Buy, 1, 10_00);
        bench.apply(AccountCommand::PlaceOrder(new));
        assert_eq!(bench.refused(), Reason::Frozen);
        let replace = bench.replace(order.order_id, 5, 10_00);
        bench.apply(AccountCommand::ReplaceOrder(replace));
        assert_eq!(bench.refused(), Reason::Frozen);
        let cancel = bench.cancel(order.order_id);
        let waits = cancel.meta.command_id;
        bench.apply(AccountCommand::CancelOrder(cancel));
        assert!(
            bench.emissions.is_empty(),
            "a cancel always passes, and waits for the one in flight"
        );
        bench.fill(&order, 10, 10_00, 0);
        assert_eq!(
            bench.kinds(),
            [AccountEventKind::OrderExecuted, AccountEventKind::OrderFilled],
            "its fills are still booked"
        );
        bench.done(
            &order,
            sweep.command_id,
            BookStatus::Rejected,
            Some(Reason::OrderClosed),
            0,
        );
        assert_eq!(
            (bench.reply().command_id, bench.refused()),
            (waits, Reason::OrderClosed)
        );
        assert_eq!(bench.account(ALICE).positions[0].quantity, 10);
        assert_eq!(bench.account(BOB).frozen, None);
    }
}

#[test]
fn an_answer_that_cannot_be_is_told_and_freezes() {
    let mut bench = Bench::new();
    bench.fund(1_000_00);
    let order = bench.limit(Side::Buy, 10, 10_00);
    let order = bench.place(order);
    bench.done(&order, order.command_id, BookStatus::Filled, None, 0);
    assert_eq!(bench.refused(), Reason::Frozen);
    assert_eq!(bench.account(ALICE).frozen, Some(BrokenInvariant::ImpossibleAnswer));
}

#[test]
fn a_fill_of_an_account_that_does_not_exist_makes_a_frozen_one() {
    let mut bench = Bench::new();
    bench.fund(1_000_00);
    let order = bench.working(Side::Buy, 10, 10_00);
    let other = NewOrder {
        account_id: BOB,
        ..order
    };
    bench.fill(&other, 1, 10_00, 9);
    assert_eq!(
        (bench.event().kind, bench.event().account_seq),
        (AccountEventKind::Frozen, 1)
    );
    let BookCommand::CancelBookOrder(cancel) = bench.forwarded[0] else {
        panic!("{:?}", bench.forwarded)
    };
    assert_eq!((cancel.account_id, cancel.order_id), (BOB, order.order_id));
    assert_eq!(bench.account(BOB).frozen, Some(BrokenInvariant::UnknownAccount));
    bench.status(BOB, AccountState::Active, 1);
    assert_eq!(bench.account(BOB).frozen, Some(BrokenInvariant::UnknownAccount));
}

#[test]
fn a_reply_to_a_partition_that_is_none_goes_nowhere() {
    for partition in [-1, 64] {
        let mut bench = Bench::new();
        let mut order = bench.limit(Side::Buy, 1, 10_00);
        order.meta.reply_to.as_mut().unwrap().partition = partition;
        bench.apply(AccountCommand::PlaceOrder(order));
        assert_eq!(bench.event().kind, AccountEventKind::OrderRejected);
        assert!(bench.replies.is_empty());
    }
}

#[test]
fn a_day_closes_for_every_account_once_every_book_has_closed_it() {
    let mut bench = Bench::new();
    for account in 1..=1_500 {
        bench.status(AccountId(10_000 + account), AccountState::Active, 1);
    }
    for book_partition in 0..8 {
        bench.apply(AccountCommand::DayClosed(DayClosed {
            day: 20_000,
            book_partition,
        }));
        let closed = if book_partition == 7 { 1_501 } else { 0 };
        assert_eq!(bench.events.len(), closed);
    }
    assert!(bench.events.iter().all(|event| event.closed_day == Some(20_000)));
    // The next day concerns those who did something, or hold something.
    bench.fund(1_00);
    bench.status(AccountId(10_001), AccountState::Suspended, 2);
    bench.restore();
    for (day, expected) in [
        (20_001, vec![ALICE, AccountId(10_001)]),
        (20_002, vec![ALICE]),
        (20_003, vec![ALICE]),
    ] {
        for book_partition in 0..8 {
            bench.apply(AccountCommand::DayClosed(DayClosed { day, book_partition }));
        }
        let closed: Vec<_> = bench.events.iter().map(|event| event.account_id).collect();
        assert_eq!(closed, expected, "day {day}");
    }
}

#[test]
fn a_suspended_accounts_orders_leave_the_books() {
    for state in [AccountState::Suspended, AccountState::Rejected] {
        let mut bench = Bench::new();
        bench.fund(10_000_00);
        let resting = bench.working(Side::Buy, 10, 10_00);
        let fresh = bench.limit(Side::Buy, 1, 10_00);
        let fresh = bench.place(fresh);
        bench.status(ALICE, state, 2);
        assert_eq!(bench.kinds(), [AccountEventKind::StatusChanged]);
        let mut cancels = Vec::new();
        for command in &bench.forwarded {
            let BookCommand::CancelBookOrder(cancel) = command else {
                panic!("{command:?}")
            };
            cancels.push(*cancel);
        }
        let orders: Vec<_> = cancels.iter().map(|cancel| cancel.order_id).collect();
        assert_eq!(orders, [resting.order_id, fresh.order_id]);
        bench.restore();
        bench.done(&resting, cancels[0].command_id, BookStatus::Cancelled, None, 10);
        let view = bench.event().order.clone().unwrap();
        assert_eq!(
            (view.status, view.reason, view.reserved_cents),
            (OrderStatus::Cancelled, Some(Reason::AccountNotActive), 0)
        );
        // The same again, and the way back, sweep nothing.
        bench.status(ALICE, state, 2);
        assert!(bench.emissions.is_empty());
        bench.status(ALICE, AccountState::Active, 3);
        assert!(bench.forwarded.is_empty());
    }
}

fn thaw(bench: &mut Bench) {
    let thaw = bench.thaw_of();
    bench.apply(thaw);
}

fn adjust(bench: &mut Bench, symbol: Option<Symbol>, amount: i64, cost_cents: i64) -> Option<Reason> {
    let adjustment = bench.adjustment_of(symbol, amount, cost_cents);
    bench.apply(adjustment).refusal()
}

#[test]
fn a_frozen_account_is_corrected_and_thawed() {
    let mut bench = Bench::new();
    bench.fund(1_000_00);
    let order = bench.working(Side::Buy, 10, 10_00);
    bench.fill(&order, 4, 10_00, 6);
    // A trade that was never booked, so that what is left disagrees.
    bench.fill(&order, 1, 10_00, 4);
    assert_eq!(bench.kinds(), [AccountEventKind::Frozen]);
    let BookCommand::CancelBookOrder(cancel) = bench.forwarded[0] else {
        panic!("{:?}", bench.forwarded)
    };
    thaw(&mut bench);
    assert_eq!(bench.refused(), Reason::AccountUnsound, "its order is still open");
    bench.done(&order, cancel.command_id, BookStatus::Cancelled, None, 4);
    let view = bench.event().order.clone().unwrap();
    assert_eq!(
        (view.status, view.reason),
        (OrderStatus::Cancelled, Some(Reason::Frozen))
    );

    assert_eq!(adjust(&mut bench, Some(aapl()), 2, 20_00), None);
    assert_eq!(bench.event().kind, AccountEventKind::BalanceAdjusted);
    assert_eq!(posted(bench.event(), LedgerAccount::Corrections, "AAPL"), -2);
    assert_eq!(adjust(&mut bench, None, -20_01, 0), None);
    assert_eq!(posted(bench.event(), LedgerAccount::Client, "USD"), -20_01);
    let why = bench.event().intervention.clone().unwrap();
    assert_eq!(
        (why.operator.as_str(), why.note.as_str()),
        ("operator", "counted by hand")
    );
    bench.restore();
    thaw(&mut bench);
    assert_eq!(bench.event().kind, AccountEventKind::Thawed);
    let account = bench.account(ALICE);
    assert_eq!((account.frozen, account.cash.reserved_cents), (None, 0));
    assert_eq!(account.positions[0].quantity, 6);
    bench.working(Side::Sell, 6, 10_00);
    thaw(&mut bench);
    assert!(
        bench.events.is_empty() && bench.reply().refusal.is_none(),
        "it goes on already"
    );
}

#[test]
fn a_correction_leaves_no_sound_account_unsound() {
    let mut bench = Bench::new();
    bench.fund(100_00);
    bench.working(Side::Buy, 5, 10_00);
    bench.transfer(10, TransferDirection::In, 1_00);
    for (symbol, amount, cost_cents, refused) in [
        (None, 0, 0, Some(Reason::InvalidAmount)),
        (None, 1, 1, Some(Reason::InvalidAmount)),
        (None, i64::MAX, 0, Some(Reason::InvalidAmount)),
        (None, -49_98, 0, Some(Reason::InsufficientFunds)),
        (None, -49_97, 0, None),
        (None, 7, 0, None),
        (Some(aapl()), 0, 0, Some(Reason::InvalidQuantity)),
        (Some(aapl()), -11, 0, Some(Reason::InsufficientShares)),
        (Some(aapl()), 0, -10_01, Some(Reason::InsufficientShares)),
        (Some(aapl()), -10, -10_00, None),
        (Some(aapl()), i64::MAX, 0, None),
        (Some(aapl()), 1, 0, Some(Reason::InvalidQuantity)),
    ] {
        let before = bench.account(ALICE);
        assert_eq!(
            adjust(&mut bench, symbol, amount, cost_cents),
            refused,
            "{symbol:?} {amount}"
        );
        let changed = bench.account(ALICE) != before;
        assert_eq!(changed, refused.is_none());
    }
}
