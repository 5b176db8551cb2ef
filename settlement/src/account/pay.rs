//! Deposits and withdrawals: pending until the provider has decided for good.
//!
//! A request that passes the checks becomes a payment under its key, which is never forgotten (40
//! bytes each, at most `deposits_per_day_max` of each direction per account and UTC day). A request
//! that is refused leaves no payment, and its key is free. A withdrawal reserves its amount at
//! once.
//!
//! A pending payment becomes settled or failed, whenever the result comes and whatever the
//! account's status is by then; nothing else ever changes. The same result again is a duplicate and
//! leaves no record. A contradicting one moves no money: it leaves a `COMMAND_REFUSED` with the
//! payment and `IDEMPOTENCY_MISMATCH`, and is counted for the alarm.

use brokerx_schemas::{
    AccountEvent, AccountEventKind, AccountState, LedgerAccount, PaymentDirection, PaymentId, PaymentResult,
    PaymentStatus, Posting, Reason, Reply, RequestPayment,
};

use super::answer::Answer;
use super::desk::{Desk, event, refusal};
use super::hash::content_hash;
use super::idempotency::refuse_for_now;
use super::payment::{Payment, PaymentDay, PaymentKey};
use super::position::Cash;
use super::state::Account;

pub(super) fn request(
    account: &mut Account,
    desk: &mut Desk<'_>,
    direction: PaymentDirection,
    command: RequestPayment,
) {
    let key = content_hash(&(direction, command.idempotency_key.as_str()));
    let content = content_hash(&(command.amount_cents, command.currency.as_str()));
    let judged = match account.payment_keys.get(&key) {
        Some(known) if known.content == content => {
            let payment_id = known.payment_id;
            return repeat(account, desk, payment_id, &command);
        }
        _ if desk.context.is_past(command.meta.deadline_us) => Err(Reason::ExpiredRequest),
        Some(_) => Err(Reason::IdempotencyMismatch),
        None => check(account, desk, direction, &command),
    };
    if let Err(reason) = judged {
        return refuse_for_now(account, desk, &command.meta, reason, None);
    }
    let payment_id = desk.rules.payment_id(desk.context);
    let day = day_of(desk);
    let today = match direction {
        PaymentDirection::Deposit => &mut account.core.deposits,
        PaymentDirection::Withdrawal | PaymentDirection::Unknown => &mut account.core.withdrawals,
    };
    *today = PaymentDay {
        day,
        count: today.count_on(day) + 1,
    };
    if direction == PaymentDirection::Withdrawal {
        account.core.cash.reserved_cents += command.amount_cents;
    }
    let payment = Payment {
        direction,
        amount_cents: command.amount_cents,
        currency: command.currency.as_str().into(),
        status: PaymentStatus::Pending,
        created_us: desk.now_us(),
        updated_us: desk.now_us(),
        answer: Answer::of(&command.meta),
    };
    let pending = AccountEvent {
        payment: Some(payment.view(payment_id)),
        ..event(AccountEventKind::PaymentPending, Some(command.meta.command_id))
    };
    account.payments.insert(payment_id, payment);
    account.payment_keys.insert(key, PaymentKey { content, payment_id });
    desk.record(account, pending);
}

fn day_of(desk: &Desk<'_>) -> i64 {
    desk.now_us().div_euclid(86_400 * 1_000_000)
}

fn check(
    account: &Account,
    desk: &Desk<'_>,
    direction: PaymentDirection,
    command: &RequestPayment,
) -> Result<(), Reason> {
    let config = &desk.rules.config;
    if account.core.state != AccountState::Active {
        return Err(Reason::AccountNotActive);
    }
    if account.core.frozen.is_some() {
        return Err(Reason::Frozen);
    }
    if !(config.payment_cents_min.max(1)..=config.payment_cents_max).contains(&command.amount_cents) {
        return Err(Reason::InvalidAmount);
    }
    if command.currency != config.currency {
        return Err(Reason::InvalidCurrency);
    }
    let today = match direction {
        PaymentDirection::Deposit => account.core.deposits,
        PaymentDirection::Withdrawal | PaymentDirection::Unknown => account.core.withdrawals,
    };
    if today.count_on(day_of(desk)) >= config.deposits_per_day_max {
        return Err(match desk.rules.since(2) {
            true => Reason::PaymentLimit,
            false => Reason::TooManyRequests,
        });
    }
    if direction == PaymentDirection::Withdrawal && command.amount_cents > account.core.cash.available_cents() {
        return Err(Reason::InsufficientFunds);
    }
    Ok(())
}

fn repeat(account: &mut Account, desk: &mut Desk<'_>, payment_id: PaymentId, command: &RequestPayment) {
    let Some(mut payment) = account.payments.edit(payment_id) else {
        return;
    };
    let answer = Answer::of(&command.meta);
    if payment.status == PaymentStatus::Pending {
        payment.answer = answer;
        return;
    }
    let view = payment.view(payment_id);
    drop(payment);
    let reply = Reply {
        replayed: true,
        ..Desk::payment_reply(view)
    };
    desk.reply(account, answer, reply);
}

/// Takes in a result. Returns whether it is one that cannot be: of an unknown payment, or against
/// what was decided.
pub(super) fn result(account: &mut Account, desk: &mut Desk<'_>, result: PaymentResult) -> bool {
    let payment_id = result.payment_id;
    let now_us = desk.now_us();
    let settled = result.outcome == PaymentStatus::Settled;
    let cash = account.core.cash;
    let Some(mut payment) = account.payments.edit(payment_id) else {
        desk.record_refusal(account, None, refusal(Reason::NotFound), None);
        return true;
    };
    if payment.status != PaymentStatus::Pending && payment.status == result.outcome {
        return false;
    }
    let after = cash_after(cash, &payment, settled);
    let decidable = matches!(result.outcome, PaymentStatus::Settled | PaymentStatus::Failed);
    let Some(after) = after.filter(|_| decidable && payment.status == PaymentStatus::Pending) else {
        let refused = AccountEvent {
            payment: Some(payment.view(payment_id)),
            refusal: Some(refusal(Reason::IdempotencyMismatch)),
            ..event(AccountEventKind::CommandRefused, None)
        };
        drop(payment);
        desk.record(account, refused);
        return true;
    };
    payment.status = result.outcome;
    payment.updated_us = now_us;
    let answer = payment.answer.take();
    let view = payment.view(payment_id);
    drop(payment);
    account.core.cash = after;
    let kind = if settled {
        AccountEventKind::PaymentSettled
    } else {
        AccountEventKind::PaymentFailed
    };
    let ended = AccountEvent {
        payment: Some(view.clone()),
        postings: postings(&view.currency, after.balance_cents - cash.balance_cents),
        ..event(kind, answer.as_ref().map(|answer| answer.command_id))
    };
    desk.record(account, ended);
    desk.reply(account, answer, Desk::payment_reply(view));
    false
}

/// The cash once a pending payment is decided; none on overflow.
fn cash_after(cash: Cash, payment: &Payment, settled: bool) -> Option<Cash> {
    let amount = payment.amount_cents;
    let mut after = cash;
    if payment.direction == PaymentDirection::Withdrawal {
        after.reserved_cents = after.reserved_cents.checked_sub(amount)?;
    }
    if settled {
        let signed = if payment.direction == PaymentDirection::Withdrawal {
            -amount
        } else {
            amount
        };
        after.balance_cents = after.balance_cents.checked_add(signed)?;
    }
    Some(after)
}

/// The client's cash and the provider's counter side.
fn postings(currency: &str, cents: i64) -> Vec<Posting> {
    let lines = [(LedgerAccount::Client, cents), (LedgerAccount::Provider, -cents)];
    let lines = lines.into_iter().filter(|(_, amount)| *amount != 0);
    lines
        .map(|(ledger_account, amount)| Posting {
            ledger_account,
            asset: currency.to_owned(),
            amount,
        })
        .collect()
}
