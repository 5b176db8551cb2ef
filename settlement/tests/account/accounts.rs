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
        let cancel = bench.cancel(order.order_id);
        bench.apply(AccountCommand::CancelOrder(cancel));
        assert_eq!(bench.refused(), Reason::Frozen);
        bench.fill(&order, 10, 10_00, 0);
        assert_eq!(
            bench.event().kind,
            AccountEventKind::OrderExecuted,
            "its fills are still booked"
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
}
