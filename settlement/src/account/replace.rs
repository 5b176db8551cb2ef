//! A client changes the terms of an order.
//!
//! From the request until the book's answer the order reserves for the worse of both terms (see
//! `reservation`). One replace of an order is in flight at a time. A new total that has traded by
//! the time that the book sees it ends the order as filled, and one that is less than that is refused: the book
//! decides that.

use brokerx_schemas::{AccountEventKind, BookCommand, OrderType, Reason, ReplaceBookOrder, ReplaceOrder};

use super::answer::Answer;
use super::cancel::check_order;
use super::checks;
use super::desk::{Desk, event, refusal};
use super::hash::content_hash;
use super::idempotency::{Request, admit};
use super::order::{Change, Terms};
use super::reservation::adjust;
use super::rules::Rules;
use super::state::{Account, Action, Followers, InFlight};

pub(super) fn replace(account: &mut Account, desk: &mut Desk<'_>, command: ReplaceOrder) {
    let asked = (command.price_cents, command.quantity, command.time_in_force);
    let request = Request {
        meta: &command.meta,
        operator: None,
        key: command.idempotency_key.as_deref(),
        content: content_hash(&("replace", command.order_id, command.client_version, asked)),
        when_frozen: false,
    };
    let Some(admitted) = admit(account, desk, request) else {
        return;
    };
    let order_id = command.order_id;
    if let Err((refusal, order_id)) = check_order(account, order_id, Some(command.client_version)) {
        return admitted.refuse(account, desk, refusal, order_id);
    }
    let terms = match judge(account, desk.rules, &command) {
        Ok(terms) => terms,
        Err(reason) => return admitted.refuse(account, desk, refusal(reason), Some(order_id)),
    };
    admitted.remember_pending(account);
    let now_us = desk.now_us();
    let Some(mut order) = account.orders.edit(order_id) else {
        return;
    };
    order.change = Some(Change::Asked(terms));
    order.in_flight += 1;
    order.touch(now_us);
    let symbol = order.symbol;
    let changed = adjust(&mut account.core.cash, &mut account.positions, &mut order);
    drop(order);
    desk.touched = Some(symbol);
    let command_id = command.meta.command_id;
    let in_flight = InFlight {
        order_id,
        action: Action::Replace,
        answer: Answer::of(&command.meta),
        key: admitted.key,
        followers: Followers::default(),
        sent: desk.sent(),
    };
    account.in_flight.insert(command_id, in_flight);
    let requested = event(AccountEventKind::OrderReplaceRequested, Some(command_id));
    desk.record_order(account, requested, order_id, changed);
    let replace = ReplaceBookOrder {
        command_id,
        order_id,
        account_id: account.id,
        symbol,
        price_cents: terms.price_cents,
        quantity: terms.quantity,
        time_in_force: terms.time_in_force,
        deadline_us: command.meta.deadline_us,
    };
    desk.forward(symbol, BookCommand::ReplaceBookOrder(replace));
}

/// The new terms of an open order.
///
/// # Errors
/// Why they cannot be asked for.
fn judge(account: &Account, rules: &Rules, command: &ReplaceOrder) -> Result<Terms, Reason> {
    let order = account.orders.get(&command.order_id).ok_or(Reason::NotFound)?;
    if order.change.is_some() {
        return Err(Reason::ChangePending);
    }
    let has_limit = matches!(order.order_type, OrderType::Limit | OrderType::StopLimit);
    if command.price_cents.is_some() && !has_limit {
        return Err(Reason::InvalidOrder);
    }
    let terms = Terms {
        quantity: command.quantity.unwrap_or(order.terms.quantity),
        price_cents: command.price_cents.or(order.terms.price_cents),
        time_in_force: command.time_in_force.unwrap_or(order.terms.time_in_force),
    };
    checks::replacement(account, rules, &order, &terms)?;
    Ok(terms)
}
