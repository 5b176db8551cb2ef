//! What the books say besides trades: answers, triggers, ends.

use brokerx_schemas::{
    AccountEventKind, BookStatus, CommandDone, CommandId, OrderEnded, OrderId, OrderStatus, OrderTriggered, Reason,
    Refusal,
};

use super::answer::Answer;
use super::cancel::{after_answer, is_of_stray, remove_from_book};
use super::desk::{Desk, event, refusal};
use super::idempotency::decide;
use super::order::Order;
use super::remembered::Outcome;
use super::reservation::adjust;
use super::state::{Account, Action, BrokenInvariant, Follower, InFlight};

/// What the client is told.
enum Decision {
    /// The order as it stands now.
    Done,
    /// The command was refused.
    Refused(Reason),
}

/// What whoever waits is told when the book's answer cannot be.
const FROZEN: Decision = Decision::Refused(Reason::Frozen);

pub(super) fn command_done(account: &mut Account, desk: &mut Desk<'_>, done: CommandDone) {
    let Some(mut in_flight) = account.in_flight.remove(&done.command_id) else {
        if desk.rules.since(4) && is_of_stray(done.command_id, done.order_id) {
            return;
        }
        desk.freeze(account, BrokenInvariant::UnknownCommand);
        return remove_if_there(account, desk, &done);
    };
    let followers = std::mem::take(&mut in_flight.followers);
    let order_id = in_flight.order_id;
    let now_us = desk.now_us();
    if desk.rules.since(3) {
        give_up_older(account, desk, &in_flight);
    }
    let book_decides = account.core.frozen.is_some() && desk.rules.since(3);
    let Some(mut order) = account.orders.edit(order_id).filter(|order| order.id == done.order_id) else {
        if desk.rules.since(3)
            && let Some(mut order) = account.orders.edit(order_id)
        {
            order.landed(done.command_id);
        }
        desk.freeze(account, BrokenInvariant::UnknownOrder);
        answer_all(account, desk, in_flight, followers.0, &FROZEN);
        remove_if_there(account, desk, &done);
        if desk.rules.since(3) {
            desk.close_if_over(account, order_id);
        }
        return;
    };
    desk.touched = Some(order.symbol);
    order.landed(done.command_id);
    let was_open = order.is_open();
    let mut decided = match in_flight.action {
        Action::Place => place_done(&mut order, &done),
        Action::Cancel { with_all: false } => cancel_done(&mut order, &done, Reason::CancelledByClient),
        Action::Cancel { with_all: true } => cancel_done(&mut order, &done, Reason::CancelledAll),
        Action::CancelBecause(reason) => cancel_done(&mut order, &done, reason),
        Action::Replace => replace_done(&mut order, &done, desk.rules.since(3)),
    };
    let is_gone = says_gone(in_flight.action, &done) && desk.rules.since(3);
    // It is neither in the book nor has it ended here.
    let contradicts = is_gone && order.is_open() && !book_decides;
    if is_gone && book_decides && order.is_open() {
        decided = Some(gone(&mut order, in_flight.action, &done));
    } else if is_gone && book_decides && !was_open && in_flight.action.is_cancel() && decided.is_none() {
        // Recalled: gone there as here.
        decided = Some((AccountEventKind::CommandRefused, Decision::Refused(Reason::OrderClosed)));
    }
    // A replace is still in flight: its answer is the last word on the order.
    let says_it_later =
        desk.rules.since(2) && order.change.is_some() && matches!(decided, Some((AccountEventKind::OrderFilled, _)));
    if decided.is_some() && !says_it_later {
        order.touch(now_us);
    }
    let changed = adjust(&mut account.core.cash, &mut account.positions, &mut order);
    drop(order);
    let Some((kind, decision)) = decided else {
        desk.freeze(account, BrokenInvariant::ImpossibleAnswer);
        answer_all(account, desk, in_flight, followers.0, &FROZEN);
        return desk.close_if_over(account, order_id);
    };
    let is_filled = account
        .orders
        .get(&order_id)
        .is_some_and(|order| order.status == OrderStatus::Filled);
    // The last word on an order that is filled is that it is filled, on both sides of a trade.
    let says_filled = is_filled && in_flight.action == Action::Replace && desk.rules.since(2);
    if kind == AccountEventKind::CommandRefused {
        let Decision::Refused(reason) = &decision else { return };
        let reason = *reason;
        desk.record_refusal(account, Some(done.command_id), refusal(reason), Some(order_id));
    } else if !says_it_later {
        desk.record_order(account, event(kind, Some(done.command_id)), order_id, changed);
    }
    if says_filled {
        record_filled(account, desk, order_id, Some(done.command_id));
    }
    let was_late = matches!(decision, Decision::Refused(Reason::ExpiredRequest));
    let also = after_answer(account, desk, order_id, followers, was_late);
    answer_all(account, desk, in_flight, also, &decision);
    if contradicts {
        desk.freeze(account, BrokenInvariant::ImpossibleAnswer);
    }
    desk.close_if_over(account, order_id);
}

/// Takes an order out of its book that the book has by an answer that cannot be, unless it is open here too.
fn remove_if_there(account: &mut Account, desk: &mut Desk<'_>, done: &CommandDone) {
    if desk.rules.since(4) && matches!(done.status, BookStatus::Working | BookStatus::Replaced) {
        remove_from_book(account, desk, done.order_id, done.symbol);
    }
}

/// A book answers in the order in which it is asked. So what was sent for an order before the command that is
/// answered here has no answer any more: nobody could read it, and it was decided to pass it. What it said is
/// not known, so the account is frozen, and nothing waits for it any more.
fn give_up_older(account: &mut Account, desk: &mut Desk<'_>, answered: &InFlight) {
    let order_id = answered.order_id;
    // The command that is answered still counts.
    if account.orders.get(&order_id).is_none_or(|order| order.in_flight < 2) {
        return;
    }
    let is_older =
        |(_, command): &(&CommandId, &InFlight)| command.order_id == order_id && command.sent < answered.sent;
    let older: Vec<CommandId> = account.in_flight.iter().filter(is_older).map(|(id, _)| *id).collect();
    for command_id in older {
        if account.core.frozen.is_none() {
            desk.freeze(account, BrokenInvariant::ImpossibleAnswer);
        }
        let Some(mut command) = account.in_flight.remove(&command_id) else {
            continue;
        };
        if let Some(mut order) = account.orders.edit(order_id) {
            order.landed(command_id);
            if command.action == Action::Replace {
                order.change = None;
            }
        }
        let followers = std::mem::take(&mut command.followers);
        answer_all(account, desk, command, followers.0, &FROZEN);
    }
}

/// Whether an answer says that the book does not have the order, whatever it says besides.
fn says_gone(action: Action, done: &CommandDone) -> bool {
    match done.status {
        BookStatus::Filled | BookStatus::Cancelled => true,
        BookStatus::Rejected => {
            let does_not_know = [Reason::OrderClosed, Reason::NotFound, Reason::UnknownSymbol];
            action == Action::Place || done.reason.is_none_or(|reason| does_not_know.contains(&reason))
        }
        BookStatus::Working | BookStatus::Replaced | BookStatus::Unknown => false,
    }
}

/// Ends an order of a frozen account because its book says that it is gone, whatever is left of it there: what
/// differs is for an operator to correct.
fn gone(order: &mut Order, action: Action, done: &CommandDone) -> (AccountEventKind, Decision) {
    let (reason, decision) = match action {
        Action::Cancel { with_all: false } => (Reason::CancelledByClient, Decision::Done),
        Action::Cancel { with_all: true } => (Reason::CancelledAll, Decision::Done),
        Action::CancelBecause(reason) => (reason, Decision::Done),
        Action::Place | Action::Replace => {
            let reason = done.reason.unwrap_or(Reason::Frozen);
            let decision = match done.status {
                BookStatus::Rejected => Decision::Refused(reason),
                _ => Decision::Done,
            };
            (reason, decision)
        }
    };
    order.change = None;
    end(order, OrderStatus::Cancelled, reason);
    (AccountEventKind::OrderCancelled, decision)
}

/// Whether the book has yet to answer the place or replace that put the order where it is: its answer says
/// then that the order is filled. Otherwise the fill itself is the last word.
pub(super) fn awaits_answer(account: &Account, desk: &Desk<'_>, order_id: OrderId) -> bool {
    let Some(order) = account.orders.get(&order_id) else {
        return false;
    };
    // What a replace asked for stays with the order when its answer could not be understood: trades on these terms
    // can still come. Its answer does not.
    let by_change = order.change.is_some() && !desk.rules.since(4);
    let is_awaited = |action: Action| match action {
        Action::Place => true,
        Action::Replace => desk.rules.since(4),
        Action::Cancel { .. } | Action::CancelBecause(_) => false,
    };
    let mut in_flight = account.in_flight.iter();
    by_change
        || order.in_flight > 0
            && in_flight.any(|(_, command)| command.order_id == order_id && is_awaited(command.action))
}

/// Writes that an order is filled, where no answer of the book says it.
pub(super) fn record_filled(
    account: &mut Account,
    desk: &mut Desk<'_>,
    order_id: OrderId,
    command_id: Option<CommandId>,
) {
    let now_us = desk.now_us();
    if let Some(mut order) = account.orders.edit(order_id) {
        order.touch(now_us);
    }
    desk.record_order(
        account,
        event(AccountEventKind::OrderFilled, command_id),
        order_id,
        false,
    );
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

fn cancel_done(order: &mut Order, done: &CommandDone, reason: Reason) -> Option<(AccountEventKind, Decision)> {
    match done.status {
        BookStatus::Cancelled if order.is_open() && done.leaves_quantity == order.leaves() => {
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

fn replace_done(order: &mut Order, done: &CommandDone, counts_leaves: bool) -> Option<(AccountEventKind, Decision)> {
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
        // The rules cancelled what was left on the new terms; nothing, where a book of the first version
        // says so.
        BookStatus::Cancelled
            if order.is_open() && (!counts_leaves || order.leaves() == 0 || order.leaves() == done.leaves_quantity) =>
        {
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

/// Tells whoever waits for a command, and the cancels that waited behind it, what was decided.
fn answer_all(
    account: &mut Account,
    desk: &mut Desk<'_>,
    in_flight: InFlight,
    followers: Vec<Follower>,
    decision: &Decision,
) {
    let order_id = in_flight.order_id;
    answer(account, desk, order_id, (in_flight.answer, in_flight.key), decision);
    for follower in followers {
        answer(account, desk, order_id, (follower.answer, follower.key), decision);
    }
}

fn answer(
    account: &mut Account,
    desk: &mut Desk<'_>,
    order_id: OrderId,
    (waits, key): (Option<Answer>, Option<u128>),
    decision: &Decision,
) {
    let (outcome, reply) = match decision {
        Decision::Done => (Outcome::Order(order_id), Desk::order_reply(account, order_id)),
        Decision::Refused(reason) => {
            let refusal: Refusal = refusal(*reason);
            let reply = Desk::refused_reply(account, refusal.clone(), Some(order_id));
            (Outcome::Refused(refusal, Some(order_id)), reply)
        }
    };
    desk.reply(account, waits, reply);
    decide(account, desk, key, outcome);
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
        None => {
            desk.freeze(account, unknown_or_impossible(account, triggered.order_id));
            if desk.rules.since(4) {
                remove_from_book(account, desk, triggered.order_id, triggered.symbol);
            }
        }
    }
}

pub(super) fn order_ended(account: &mut Account, desk: &mut Desk<'_>, ended: OrderEnded) {
    let now_us = desk.now_us();
    let book_decides = account.core.frozen.is_some() && desk.rules.since(3);
    let order = account.orders.edit(ended.order_id);
    let agrees = |order: &Order| book_decides || order.leaves() == ended.leaves_quantity;
    let Some(mut order) = order.filter(|order| order.is_open() && agrees(order)) else {
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
