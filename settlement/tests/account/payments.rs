//! Deposits, withdrawals and share transfers.

use brokerx_schemas::*;

use crate::bench::*;

#[test]
fn a_deposit_is_answered_when_it_is_decided() {
    for (outcome, kind, balance) in [
        (PaymentStatus::Settled, AccountEventKind::PaymentSettled, 500_00),
        (PaymentStatus::Failed, AccountEventKind::PaymentFailed, 0),
    ] {
        let mut bench = Bench::new();
        let request = bench.payment(500_00);
        bench.apply(AccountCommand::Deposit(request.clone()));
        assert_eq!(bench.event().kind, AccountEventKind::PaymentPending);
        assert!(bench.replies.is_empty());
        let payment_id = bench.event().payment.as_ref().unwrap().payment_id;
        bench.result(payment_id, outcome);
        let event = bench.event();
        assert_eq!(event.kind, kind);
        assert_eq!(posted(event, LedgerAccount::Client, "USD"), balance);
        assert_eq!(posted(event, LedgerAccount::Provider, "USD"), -balance);
        let reply = bench.reply();
        assert_eq!(
            (reply.kind, reply.command_id),
            (ReplyKind::Payment, request.meta.command_id)
        );
        assert_eq!(reply.payment.as_ref().unwrap().status, outcome);
        assert_eq!(bench.account(ALICE).cash.balance_cents, balance);
    }
}

#[test]
fn only_the_first_result_changes_anything() {
    let mut bench = Bench::new();
    let request = bench.payment(500_00);
    bench.apply(AccountCommand::Deposit(request));
    let payment_id = bench.event().payment.as_ref().unwrap().payment_id;
    bench.result(payment_id, PaymentStatus::Settled);
    bench.result(payment_id, PaymentStatus::Settled);
    assert!(bench.emissions.is_empty(), "the same again is a duplicate");
    bench.result(payment_id, PaymentStatus::Failed);
    assert_eq!(bench.event().kind, AccountEventKind::CommandRefused);
    assert_eq!(
        bench.event().refusal.as_ref().unwrap().reason,
        Reason::IdempotencyMismatch
    );
    assert_eq!(bench.event().payment.as_ref().unwrap().status, PaymentStatus::Settled);
    bench.result(PaymentId(1), PaymentStatus::Settled);
    assert_eq!(bench.event().refusal.as_ref().unwrap().reason, Reason::NotFound);
    assert_eq!(bench.machine().contradictions(), 2);
    assert_eq!(bench.account(ALICE).cash.balance_cents, 500_00);
}

#[test]
fn a_key_of_a_payment_is_never_forgotten() {
    let mut bench = Bench::new();
    let request = bench.payment(500_00);
    bench.apply(AccountCommand::Deposit(request.clone()));
    let payment_id = bench.event().payment.as_ref().unwrap().payment_id;
    let mut second = request.clone();
    second.meta = bench.meta();
    bench.apply(AccountCommand::Deposit(second.clone()));
    assert!(bench.emissions.is_empty(), "a repeat waits with the first");
    bench.result(payment_id, PaymentStatus::Settled);
    assert_eq!(bench.reply().command_id, second.meta.command_id);

    bench.pass(40 * 86_400);
    bench.restore();
    bench.apply(AccountCommand::Deposit(second.clone()));
    assert!(bench.reply().replayed);
    assert_eq!(bench.reply().payment.as_ref().unwrap().payment_id, payment_id);
    assert!(bench.events.is_empty());
    second.amount_cents += 1;
    second.meta = bench.meta();
    bench.apply(AccountCommand::Deposit(second.clone()));
    assert_eq!(bench.refused(), Reason::IdempotencyMismatch);
    // The same key for a withdrawal is another key.
    bench.apply(AccountCommand::Withdraw(request));
    assert_eq!(bench.refused(), Reason::ExpiredRequest);
    assert_eq!(bench.account(ALICE).cash.balance_cents, 500_00);
}

#[test]
fn a_request_meets_its_checks_in_order_and_a_refused_one_may_be_tried_again() {
    let mut bench = Bench::with(Config {
        deposits_per_day_max: 2,
        ..Config::default()
    });
    bench.status(ALICE, AccountState::Suspended, 2);
    let mut request = bench.payment(99);
    request.currency = "CAD".to_owned();
    request.meta.deadline_us = 0;
    let check = |bench: &mut Bench, request: &RequestPayment, expected| {
        bench.apply(AccountCommand::Deposit(request.clone()));
        assert_eq!(bench.refused(), expected);
        assert!(bench.events.is_empty(), "it changed nothing");
    };
    check(&mut bench, &request, Reason::ExpiredRequest);
    request.meta.deadline_us = i64::MAX;
    check(&mut bench, &request, Reason::AccountNotActive);
    bench.status(ALICE, AccountState::Active, 3);
    check(&mut bench, &request, Reason::InvalidAmount);
    request.amount_cents = 10_000_01;
    check(&mut bench, &request, Reason::InvalidAmount);
    request.amount_cents = 10_000_00;
    check(&mut bench, &request, Reason::InvalidCurrency);
    request.currency = "USD".to_owned();
    bench.fund(2_00);
    bench.fund(2_00);
    check(&mut bench, &request, Reason::PaymentLimit);
    bench.pass(86_400);
    bench.apply(AccountCommand::Deposit(request));
    assert_eq!(bench.event().kind, AccountEventKind::PaymentPending);
}

#[test]
fn a_withdrawal_reserves_at_once_and_releases_when_it_fails() {
    for (outcome, balance) in [(PaymentStatus::Settled, 400_00), (PaymentStatus::Failed, 1_000_00)] {
        let mut bench = Bench::new();
        bench.fund(1_000_00);
        let request = bench.payment(600_00);
        bench.apply(AccountCommand::Withdraw(request));
        let payment_id = bench.event().payment.as_ref().unwrap().payment_id;
        assert_eq!(
            bench.event().cash.unwrap(),
            CashView {
                balance_cents: 1_000_00,
                reserved_cents: 600_00,
            }
        );
        let second = bench.payment(600_00);
        bench.apply(AccountCommand::Withdraw(second));
        assert_eq!(bench.refused(), Reason::InsufficientFunds);
        bench.result(payment_id, outcome);
        assert_eq!(
            bench.account(ALICE).cash,
            CashView {
                balance_cents: balance,
                reserved_cents: 0,
            }
        );
    }
}

#[test]
fn a_result_counts_whatever_the_account_is_by_then() {
    let mut bench = Bench::new();
    let request = bench.payment(500_00);
    bench.apply(AccountCommand::Deposit(request));
    let payment_id = bench.event().payment.as_ref().unwrap().payment_id;
    bench.status(ALICE, AccountState::Suspended, 2);
    bench.result(payment_id, PaymentStatus::Settled);
    assert_eq!(bench.account(ALICE).cash.balance_cents, 500_00);
}

#[test]
fn shares_come_with_their_cost_and_go_when_they_are_free() {
    let mut bench = Bench::new();
    bench.transfer(10, TransferDirection::In, 50_00);
    let event = bench.event().clone();
    assert_eq!(event.kind, AccountEventKind::SharesTransferred);
    assert_eq!(event.positions[0].cost_cents, 500_00);
    assert_eq!(posted(&event, LedgerAccount::Custodian, "AAPL"), -10);
    assert_eq!(bench.reply().transfer.as_ref().unwrap().quantity, 10);
    bench.working(Side::Sell, 4, 60_00);
    bench.transfer(7, TransferDirection::Out, 0);
    assert_eq!(bench.refused(), Reason::InsufficientShares);
    bench.transfer(6, TransferDirection::Out, 0);
    assert_eq!(bench.event().positions[0].quantity, 4);
    assert_eq!(bench.event().positions[0].cost_cents, 200_00);
    bench.transfer(0, TransferDirection::In, 0);
    assert_eq!(bench.refused(), Reason::InvalidQuantity);
    bench.transfer(1, TransferDirection::In, -1);
    assert_eq!(bench.refused(), Reason::InvalidPrice);
    bench.transfer(i64::MAX, TransferDirection::In, 1);
    assert_eq!(bench.refused(), Reason::InvalidQuantity);
    bench.transfer(i64::MAX, TransferDirection::In, 2);
    assert_eq!(bench.refused(), Reason::InvalidPrice);
}
