//! The same key again: the original outcome, never a second effect.

use brokerx_schemas::*;
use brokerx_topics::machine::{LOGIC_VERSION, Machine};

use crate::bench::*;

#[test]
fn a_repeat_of_a_pending_order_takes_over_the_answer() {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let command = bench.limit(Side::Buy, 10, 100_00);
    let order = bench.place(command.clone());
    let mut again = PlaceOrder {
        // What the ingress stamps is not compared.
        collar_price_cents: Some(1),
        ..command
    };
    again.meta = bench.meta();
    again.meta.reply_to = Some(ReplyTo {
        instance: "ingress-2".to_owned(),
        partition: 9,
    });
    bench.apply(AccountCommand::PlaceOrder(again.clone()));
    assert!(bench.emissions.is_empty());
    bench.done(&order, order.command_id, BookStatus::Working, None, 10);
    assert_eq!(bench.reply().command_id, again.meta.command_id);
    let reply = bench.emissions.last().unwrap();
    assert_eq!(
        (reply.output.partition, reply.output.key.as_slice()),
        (9, b"ingress-2".as_slice())
    );
}

#[test]
fn a_repeat_of_a_decided_order_returns_the_decision_with_the_current_state() {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let command = bench.limit(Side::Buy, 200, 10_00);
    let order = bench.place(command.clone());
    bench.done(&order, order.command_id, BookStatus::Working, None, 200);
    for filled in 1..=120 {
        bench.fill(&order, 1, 10_00, 200 - filled);
    }
    bench.restore();
    let mut again = command.clone();
    again.meta = bench.meta();
    // A repeat does nothing, so its deadline does not matter.
    again.meta.deadline_us = 0;
    bench.apply(AccountCommand::PlaceOrder(again.clone()));
    assert!(bench.events.is_empty());
    let reply = bench.reply();
    assert!(reply.replayed);
    assert_eq!(
        (reply.kind, reply.command_id),
        (ReplyKind::Order, again.meta.command_id)
    );
    assert_eq!(reply.order.as_ref().unwrap().filled_quantity, 120);
    assert_eq!(reply.executions.len(), 100);

    again.quantity = 11;
    bench.apply(AccountCommand::PlaceOrder(again));
    assert_eq!(bench.refused(), Reason::IdempotencyMismatch);
    assert!(bench.events.is_empty(), "it changed nothing");
}

#[test]
fn a_rejected_order_keeps_its_key() {
    let mut bench = Bench::new();
    let command = bench.limit(Side::Buy, 10, 100_00);
    bench.apply(AccountCommand::PlaceOrder(command.clone()));
    assert_eq!(bench.refused(), Reason::InsufficientFunds);
    bench.fund(10_000_00);
    bench.apply(AccountCommand::PlaceOrder(command));
    assert_eq!(bench.refused(), Reason::InsufficientFunds);
    assert!(bench.reply().replayed);
    assert!(bench.events.is_empty());
}

#[test]
fn an_expired_request_is_decided_for_good() {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let order = bench.working(Side::Buy, 1, 10_00);
    let mut command = bench.limit(Side::Buy, 10, 100_00);
    command.meta.deadline_us = bench.now_ms * 1_000 - 1;
    bench.apply(AccountCommand::PlaceOrder(command.clone()));
    assert_eq!(bench.refused(), Reason::ExpiredRequest);
    command.meta = bench.meta();
    bench.apply(AccountCommand::PlaceOrder(command));
    assert_eq!(bench.refused(), Reason::ExpiredRequest);
    assert!(bench.reply().replayed);
    // The same holds for any command with a key.
    let mut cancel = bench.cancel(order.order_id);
    cancel.idempotency_key = Some("late".to_owned());
    cancel.meta.deadline_us = bench.now_ms * 1_000 - 1;
    bench.apply(AccountCommand::CancelOrder(cancel.clone()));
    assert_eq!(bench.refused(), Reason::ExpiredRequest);
    cancel.meta = bench.meta();
    bench.apply(AccountCommand::CancelOrder(cancel));
    assert_eq!(bench.refused(), Reason::ExpiredRequest);
    assert!(bench.reply().replayed);
}

#[test]
fn a_key_is_forgotten_a_day_after_the_end_and_not_before() {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let open = bench.working(Side::Buy, 1, 10_00);
    let command = bench.limit(Side::Buy, 10, 100_00);
    let order = bench.place(command.clone());
    bench.pass(3 * 86_400);
    bench.fill(&order, 10, 100_00, 0);
    // Filled, but the book's answer is outstanding: the time for which the key is kept has not
    // begun.
    bench.pass(2 * 86_400);
    bench.done(&order, order.command_id, BookStatus::Filled, None, 0);
    bench.pass(86_400);
    bench.restore();
    bench.apply(AccountCommand::PlaceOrder(command.clone()));
    assert!(bench.reply().replayed);
    assert_eq!(bench.machine().remembered_keys(), 2);
    bench.pass(2);
    assert_eq!(bench.machine().remembered_keys(), 1);
    let mut again = command;
    again.meta = bench.meta();
    bench.place(again);
    assert!(
        bench
            .account(ALICE)
            .orders
            .iter()
            .any(|order| order.order_id == open.order_id)
    );
}

#[test]
fn commands_with_a_key_are_repeated_like_orders() {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let order = bench.working(Side::Buy, 10, 100_00);
    let mut cancel = bench.cancel(order.order_id);
    cancel.idempotency_key = Some("cancel-1".to_owned());
    let first = cancel.meta.command_id;
    bench.apply(AccountCommand::CancelOrder(cancel.clone()));
    cancel.meta = bench.meta();
    bench.apply(AccountCommand::CancelOrder(cancel.clone()));
    assert!(bench.emissions.is_empty());
    bench.done(&order, first, BookStatus::Cancelled, None, 10);
    assert_eq!(bench.reply().command_id, cancel.meta.command_id);
    bench.restore();
    bench.apply(AccountCommand::CancelOrder(cancel.clone()));
    assert_eq!((bench.reply().kind, bench.reply().replayed), (ReplyKind::Order, true));
    assert!(bench.events.is_empty());
    cancel.client_version = Some(1);
    bench.apply(AccountCommand::CancelOrder(cancel.clone()));
    assert_eq!(bench.refused(), Reason::IdempotencyMismatch);

    // A refusal is remembered as well.
    cancel.idempotency_key = Some("cancel-2".to_owned());
    bench.apply(AccountCommand::CancelOrder(cancel.clone()));
    assert_eq!(bench.refused(), Reason::OrderClosed);
    bench.apply(AccountCommand::CancelOrder(cancel));
    assert_eq!((bench.refused(), bench.reply().replayed), (Reason::OrderClosed, true));

    // So is what concerns the account as a whole, and a transfer.
    let transfer = TransferShares {
        meta: bench.meta(),
        account_id: ALICE,
        operator: "operator".to_owned(),
        idempotency_key: Some("transfer".to_owned()),
        symbol: aapl(),
        quantity: 5,
        direction: TransferDirection::In,
        price_cents: None,
    };
    bench.apply(AccountCommand::TransferShares(transfer.clone()));
    let made = bench.reply().transfer.clone();
    bench.apply(AccountCommand::TransferShares(transfer));
    assert_eq!(bench.reply().transfer, made);
    assert!(bench.reply().replayed);
    assert_eq!(bench.account(ALICE).positions[0].quantity, 5);
}

#[test]
fn no_key_is_forgotten_early_when_there_is_no_room() {
    for per_partition in [false, true] {
        let mut bench = Bench::with(Config {
            closed_keys_per_account_max: if per_partition { 100 } else { 2 },
            closed_keys_per_partition_max: if per_partition { 2 } else { 100 },
            closed_keys_per_account_assured: 0,
            ..Config::default()
        });
        bench.fund(10_000_00);
        let first = bench.limit(Side::Buy, 1, 10_00);
        let order = bench.place(first.clone());
        bench.done(&order, order.command_id, BookStatus::Working, None, 1);
        let open = bench.working(Side::Buy, 1, 10_00);
        bench.fill(&order, 1, 10_00, 0);
        let third = bench.limit(Side::Buy, 1, 10_00);
        bench.apply(AccountCommand::PlaceOrder(third.clone()));
        assert_eq!(bench.refused(), Reason::TooManyRequests);
        assert!(bench.events.is_empty(), "it changed nothing");
        bench.apply(AccountCommand::PlaceOrder(first));
        assert!(bench.reply().replayed);
        // A cancel without a key needs no room.
        let mut cancel = bench.cancel(open.order_id);
        bench.apply(AccountCommand::CancelOrder(cancel.clone()));
        assert_eq!(bench.forwarded.len(), 1);
        cancel.meta = bench.meta();
        cancel.idempotency_key = Some("cancel".to_owned());
        bench.apply(AccountCommand::CancelOrder(cancel));
        assert_eq!(bench.refused(), Reason::TooManyRequests);
        bench.pass(86_400 + 2);
        let third = PlaceOrder {
            meta: bench.meta(),
            ..third
        };
        bench.place(third);
    }
}

#[test]
fn the_next_tick_is_that_which_forgets_a_key() {
    let mut bench = Bench::new();
    assert_eq!(bench.machine().next_tick(), None);
    let refused = bench.limit(Side::Buy, 1, 10_00);
    bench.apply(AccountCommand::PlaceOrder(refused));
    let next = bench.machine().next_tick().unwrap();
    for (second, remembered) in [(next - 1, 1), (next, 0)] {
        bench.pass(second - bench.now_ms / 1_000);
        assert_eq!(bench.machine().remembered_keys(), remembered);
    }
    assert_eq!(bench.machine().next_tick(), None);
}

#[test]
fn many_keys_are_forgotten_in_bounded_steps() {
    let mut bench = Bench::new();
    for _ in 0..4_500 {
        let order = bench.limit(Side::Buy, 1, 10_00);
        bench.apply(AccountCommand::PlaceOrder(order));
    }
    assert_eq!(bench.machine().remembered_keys(), 4_500);
    // One account in several slices of a snapshot.
    assert!(slices(bench.machine()).len() > 3);
    bench.restore();
    bench.pass(86_400 + 2);
    assert_eq!(bench.machine().remembered_keys(), 0);
    assert!(bench.account(ALICE).orders.is_empty());
}

#[test]
fn the_time_of_a_cancelled_order_begins_when_nothing_on_it_is_in_flight() {
    // Before logic version 2 each cancel went to the book.
    let mut bench = Bench::of_version(1, Config::default());
    bench.fund(10_000_00);
    let order = bench.working(Side::Buy, 1, 10_00);
    let cancels = [(); 2].map(|()| {
        let cancel = bench.cancel(order.order_id);
        bench.apply(AccountCommand::CancelOrder(cancel.clone()));
        cancel.meta.command_id
    });
    bench.done(&order, cancels[0], BookStatus::Cancelled, None, 1);
    bench.pass(86_400 + 2);
    assert_eq!(
        bench.account(ALICE).orders.len(),
        1,
        "the second cancel is not answered"
    );
    bench.done(&order, cancels[1], BookStatus::Rejected, Some(Reason::OrderClosed), 0);
    bench.pass(86_400 + 2);
    assert!(bench.account(ALICE).orders.is_empty());
}

#[test]
fn nobody_uses_up_the_share_of_another_account() {
    let mut bench = Bench::with(Config {
        closed_keys_per_partition_max: 1_000,
        closed_keys_per_account_assured: 100,
        ..Config::default()
    });
    bench.status(BOB, AccountState::Active, 1);
    let order_of = |bench: &mut Bench, account_id| {
        let order = PlaceOrder {
            account_id,
            ..bench.limit(Side::Buy, 1, 10_00)
        };
        bench.apply(AccountCommand::PlaceOrder(order));
        bench.refused()
    };
    for _ in 0..1_000 {
        assert_eq!(order_of(&mut bench, ALICE), Reason::InsufficientFunds);
    }
    assert_eq!(order_of(&mut bench, ALICE), Reason::TooManyRequests);
    for _ in 0..100 {
        assert_eq!(order_of(&mut bench, BOB), Reason::InsufficientFunds);
    }
    assert_eq!(order_of(&mut bench, BOB), Reason::TooManyRequests);
    bench.restore();
    assert_eq!(bench.machine().remembered_keys(), 1_100);
    assert_eq!(
        bench.machine().memory_permille(),
        1_100,
        "an alarm went off long before"
    );
}

/// Whose keys fill his share does not keep an operator away.
#[test]
fn an_operator_is_heard_whatever_a_client_has_filled() {
    for version in [3, LOGIC_VERSION] {
        let config = Config {
            closed_keys_per_account_max: 3,
            ..Config::default()
        };
        let mut bench = Bench::of_version(version, config);
        let mut engage = |operator: Option<&str>, key: &str| {
            let command = SetKillSwitch {
                meta: bench.meta(),
                account_id: ALICE,
                operator: operator.map(str::to_owned),
                idempotency_key: Some(key.to_owned()),
                engaged: true,
            };
            bench.apply(AccountCommand::SetKillSwitch(command));
            bench.refusal()
        };
        for key in ["a", "b", "c"] {
            assert_eq!(engage(None, key), None);
        }
        assert_eq!(engage(None, "d"), Some(Reason::TooManyRequests));
        let heard = (version < 4).then_some(Reason::TooManyRequests);
        assert_eq!(engage(Some("operator"), "kill"), heard, "version {version}");
        assert_eq!(engage(Some("operator"), "kill"), heard, "a repeat");
    }
}

#[test]
fn a_rejected_order_is_answered_as_before_from_the_little_that_is_kept() {
    let mut bench = Bench::new();
    let command = bench.limit(Side::Buy, 10, 100_00);
    bench.apply(AccountCommand::PlaceOrder(command.clone()));
    let told = bench.reply().order.clone().unwrap();
    assert!(bench.account(ALICE).orders.is_empty(), "the order itself is not kept");
    bench.restore();
    bench.pass(60);
    let again = PlaceOrder {
        meta: bench.meta(),
        ..command.clone()
    };
    bench.apply(AccountCommand::PlaceOrder(again));
    assert_eq!(bench.refused(), Reason::InsufficientFunds);
    assert!(bench.reply().replayed);
    assert_eq!(bench.reply().order.as_ref(), Some(&told));
    let other = PlaceOrder {
        quantity: 11,
        ..command
    };
    bench.apply(AccountCommand::PlaceOrder(other));
    assert_eq!(bench.refused(), Reason::IdempotencyMismatch);
    let cancel = bench.cancel(told.order_id);
    bench.apply(AccountCommand::CancelOrder(cancel));
    assert_eq!(bench.refused(), Reason::OrderClosed);
}

#[test]
fn a_key_belongs_to_whoever_sent_it() {
    let mut bench = Bench::new();
    let key = || Some("k".to_owned());
    let kill = |bench: &mut Bench, operator: Option<&str>, engaged| {
        let meta = bench.meta();
        bench.apply(AccountCommand::SetKillSwitch(SetKillSwitch {
            meta,
            account_id: ALICE,
            engaged,
            operator: operator.map(str::to_owned),
            idempotency_key: key(),
        }));
        bench.reply().refusal.as_ref().map(|refusal| refusal.reason)
    };
    let cancel_all = AccountCommand::CancelAllOrders(CancelAllOrders {
        meta: bench.meta(),
        account_id: ALICE,
        symbol: None,
        idempotency_key: key(),
    });
    bench.apply(cancel_all);
    assert_eq!(bench.event().kind, AccountEventKind::CancelAllRequested);
    assert_eq!(
        kill(&mut bench, Some("first"), true),
        None,
        "the client has not taken it"
    );
    assert!(bench.account(ALICE).status.kill_switch);
    assert_eq!(kill(&mut bench, Some("second"), false), None, "nor another operator");
    assert!(!bench.account(ALICE).status.kill_switch);
    assert_eq!(
        kill(&mut bench, Some("second"), true),
        Some(Reason::IdempotencyMismatch)
    );
    assert_eq!(kill(&mut bench, None, true), Some(Reason::IdempotencyMismatch));
    // A repeat is one, for each of them.
    assert_eq!(kill(&mut bench, Some("first"), true), None);
    assert!(bench.reply().replayed && bench.events.is_empty());
}

#[test]
fn an_operators_key_from_before_is_still_known() {
    let mut bench = Bench::of_version(1, Config::default());
    let kill = |bench: &mut Bench| {
        let meta = bench.meta();
        bench.apply(AccountCommand::SetKillSwitch(SetKillSwitch {
            meta,
            account_id: ALICE,
            engaged: true,
            operator: Some("operator".to_owned()),
            idempotency_key: Some("k".to_owned()),
        }));
    };
    kill(&mut bench);
    bench.apply(AccountCommand::Config(ConfigChange {
        version: 2,
        logic_version: 2,
        config: Config::default(),
    }));
    kill(&mut bench);
    assert!(bench.reply().replayed && bench.events.is_empty());
}
