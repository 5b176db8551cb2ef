//! What the books say besides trades: answers, triggers, ends.

use brokerx_schemas::{
    AccountEventKind, BookStatus, CommandDone, OrderEnded, OrderId, OrderStatus, OrderTriggered, Reason, Refusal,
};

use super::desk::{Desk, event, refusal};
use super::idempotency::decide;
use super::order::Order;
use super::remembered::Outcome;
use super::reservation::adjust;
use super::state::{Account, Action, BrokenInvariant, InFlight};

/// What the client is told.
enum Decision {
    /// The order as it stands now.
    Done,
    /// The command was refused.
    Refused(Reason),
}

pub(super) fn command_done(account: &mut Account, desk: &mut Desk<'_>, done: CommandDone) {
    let Some(in_flight) = account.in_flight.remove(&done.command_id) else {
        return desk.freeze(account, BrokenInvariant::UnknownCommand);
    };
    let order_id = in_flight.order_id;
    let now_us = desk.now_us();
    let Some(mut order) = account.orders.edit(order_id).filter(|order| order.id == done.order_id) else {
        desk.freeze(account, BrokenInvariant::UnknownOrder);
        return answer(account, desk, in_flight, Decision::Refused(Reason::Frozen));
    };
    desk.touched = Some(order.symbol);
    order.in_flight -= 1;
    let decided = match in_flight.action {
        Action::Place => place_done(&mut order, &done),
        Action::Cancel { with_all } => cancel_done(&mut order, &done, with_all),
        Action::Replace => replace_done(&mut order, &done),
    };
    if decided.is_some() {
        order.touch(now_us);
    }
    let changed = adjust(&mut account.core.cash, &mut account.positions, &mut order);
    drop(order);
    let Some((kind, decision)) = decided else {
        desk.freeze(account, BrokenInvariant::ImpossibleAnswer);
        answer(account, desk, in_flight, Decision::Refused(Reason::Frozen));
        return desk.close_if_over(account, order_id);
    };
    if kind == AccountEventKind::CommandRefused {
        let Decision::Refused(reason) = decision else { return };
        desk.record_refusal(account, Some(done.command_id), refusal(reason), Some(order_id));
    } else {
        desk.record_order(account, event(kind, Some(done.command_id)), order_id, changed);
    }
    answer(account, desk, in_flight, decision);
    desk.close_if_over(account, order_id);
}

/// What an answer to a place does to its order; none when the two contradict each other.
fn place_done(order: &mut Order, done: &CommandDone) -> Option<(AccountEventKind, Decision)> {
    let leaves_agree = done.leaves_quantity == order.leaves();
    match done.status {
        BookStatus::Working if order.is_open() && leaves_agree => {
            if order.status == OrderStatus::Accepted {
                order.status = OrderStatus::Working;
            }
            Some((AccountEventKind::OrderWorking, Decision::Done))
        }
        BookStatus::Filled if order.status == OrderStatus::Filled => {
            Some((AccountEventKind::OrderFilled, Decision::Done))
        }
        BookStatus::Cancelled if order.is_open() && leaves_agree => {
            end(
                order,
                OrderStatus::Cancelled,
                done.reason.unwrap_or(Reason::NoLiquidity),
            );
            Some((AccountEventKind::OrderCancelled, Decision::Done))
        }
        BookStatus::Rejected if order.is_open() && order.traded.quantity == 0 => {
            let reason = done.reason.unwrap_or(Reason::InvalidOrder);
            end(order, OrderStatus::Rejected, reason);
            Some((AccountEventKind::OrderRejected, Decision::Refused(reason)))
        }
        _ => None,
    }
}

fn cancel_done(order: &mut Order, done: &CommandDone, with_all: bool) -> Option<(AccountEventKind, Decision)> {
    match done.status {
        BookStatus::Cancelled if order.is_open() && done.leaves_quantity == order.leaves() => {
            let reason = if with_all {
                Reason::CancelledAll
            } else {
                Reason::CancelledByClient
            };
            end(order, OrderStatus::Cancelled, reason);
            Some((AccountEventKind::OrderCancelled, Decision::Done))
        }
        BookStatus::Rejected => {
            let reason = done.reason.unwrap_or(Reason::OrderClosed);
            Some((AccountEventKind::CommandRefused, Decision::Refused(reason)))
        }
        _ => None,
    }
}

fn replace_done(order: &mut Order, done: &CommandDone) -> Option<(AccountEventKind, Decision)> {
    if done.status == BookStatus::Rejected {
        order.change = None;
        let reason = done.reason.unwrap_or(Reason::OrderClosed);
        return Some((AccountEventKind::OrderReplaceRejected, Decision::Refused(reason)));
    }
    order.adopt_change();
    order.change = None;
    let agrees = match done.status {
        BookStatus::Replaced | BookStatus::Working => order.is_open() && done.leaves_quantity == order.leaves(),
        // A new total that had traded already: no trade has told it. Books of the first version say so
        // with a cancel.
        BookStatus::Filled if order.is_open() && order.traded.quantity > 0 && order.leaves() == 0 => {
            order.status = OrderStatus::Filled;
            true
        }
        BookStatus::Filled => order.status == OrderStatus::Filled,
        // The rules cancelled what was left on the new terms.
        BookStatus::Cancelled if order.is_open() => {
            end(
                order,
                OrderStatus::Cancelled,
                done.reason.unwrap_or(Reason::CancelledByClient),
            );
            true
        }
        BookStatus::Cancelled | BookStatus::Rejected | BookStatus::Unknown => false,
    };
    agrees.then_some((AccountEventKind::OrderReplaced, Decision::Done))
}

fn end(order: &mut Order, status: OrderStatus, reason: Reason) {
    order.status = status;
    order.reason = Some(reason);
}

fn answer(account: &mut Account, desk: &mut Desk<'_>, in_flight: InFlight, decision: Decision) {
    let order_id = in_flight.order_id;
    let (outcome, reply) = match decision {
        Decision::Done => (Outcome::Order(order_id), Desk::order_reply(account, order_id)),
        Decision::Refused(reason) => {
            let refusal: Refusal = refusal(reason);
            let reply = Desk::refused_reply(account, refusal.clone(), Some(order_id));
            (Outcome::Refused(refusal, Some(order_id)), reply)
        }
    };
    desk.reply(account, in_flight.answer, reply);
    decide(account, desk, in_flight.key, outcome);
}

pub(super) fn order_triggered(account: &mut Account, desk: &mut Desk<'_>, triggered: OrderTriggered) {
    let now_us = desk.now_us();
    let is_known = account
        .orders
        .edit(triggered.order_id)
        .filter(|order| order.is_open())
        .map(|mut order| order.touch(now_us));
    match is_known {
        Some(()) => desk.record_order(
            account,
            event(AccountEventKind::OrderTriggered, None),
            triggered.order_id,
            false,
        ),
        None => desk.freeze(account, unknown_or_impossible(account, triggered.order_id)),
    }
}

pub(super) fn order_ended(account: &mut Account, desk: &mut Desk<'_>, ended: OrderEnded) {
    let now_us = desk.now_us();
    let order = account.orders.edit(ended.order_id);
    let Some(mut order) = order.filter(|order| order.is_open() && order.leaves() == ended.leaves_quantity) else {
        return desk.freeze(account, unknown_or_impossible(account, ended.order_id));
    };
    let (status, kind) = match ended.cause {
        Reason::SessionEnded => (OrderStatus::Expired, AccountEventKind::OrderExpired),
        _ => (OrderStatus::Cancelled, AccountEventKind::OrderCancelled),
    };
    desk.touched = Some(order.symbol);
    end(&mut order, status, ended.cause);
    order.touch(now_us);
    let changed = adjust(&mut account.core.cash, &mut account.positions, &mut order);
    drop(order);
    desk.record_order(account, event(kind, None), ended.order_id, changed);
    desk.close_if_over(account, ended.order_id);
}

fn unknown_or_impossible(account: &Account, order_id: OrderId) -> BrokenInvariant {
    if account.orders.contains(&order_id) {
        BrokenInvariant::ImpossibleAnswer
    } else {
        BrokenInvariant::UnknownOrder
    }
}
