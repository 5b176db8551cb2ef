//! Cancels: of one order, of all, and the kill switch.
//!
//! A cancel is always forwarded while settlement holds the order open, whatever else is in flight:
//! the book alone knows who came first. Each is answered by its own `CommandDone`.

use std::ops::Bound;

use brokerx_schemas::{
    AccountEvent, AccountEventKind, BookCommand, CancelAllOrders, CancelBookOrder, CancelOrder, CommandId, OrderId,
    Reason, Refusal, ReplyKind, SetKillSwitch, Symbol,
};

use super::answer::Answer;
use super::desk::{Desk, blank_reply, event, refusal};
use super::hash::content_hash;
use super::idempotency::admit;
use super::remembered::Outcome;
use super::state::{Account, Action, InFlight};

/// At most this many cancels are forwarded before outputs are taken.
const CANCELS_PER_STEP: usize = 100;

pub(super) fn cancel(account: &mut Account, desk: &mut Desk<'_>, command: CancelOrder) {
    let content = content_hash(&("cancel", command.order_id, command.client_version));
    let key = command.idempotency_key.as_deref();
    let Some(admitted) = admit(account, desk, &command.meta, key, content) else {
        return;
    };
    if let Err((refusal, order_id)) = check_order(account, command.order_id, command.client_version) {
        return admitted.refuse(account, desk, refusal, order_id);
    }
    admitted.remember_pending(account);
    let now_us = desk.now_us();
    if let Some(mut order) = account.orders.edit(command.order_id) {
        order.touch(now_us);
    }
    let command_id = command.meta.command_id;
    let in_flight = InFlight {
        order_id: command.order_id,
        action: Action::Cancel { with_all: false },
        answer: Answer::of(&command.meta),
        key: admitted.key,
    };
    let requested = event(AccountEventKind::OrderCancelRequested, Some(command_id));
    desk.record_order(account, requested, command.order_id, false);
    forward(account, desk, command_id, in_flight, command.meta.deadline_us);
}

/// The first checks of a command on one order: it exists, has the version that the client knows,
/// and is still open.
///
/// # Errors
/// The refusal, and the order unless it is somebody else's.
pub(super) fn check_order(
    account: &Account,
    order_id: OrderId,
    client_version: Option<i32>,
) -> Result<(), (Refusal, Option<OrderId>)> {
    let Some(order) = account.orders.get(&order_id) else {
        return Err((refusal(Reason::NotFound), None));
    };
    if client_version.is_some_and(|version| version != order.version) {
        let conflict = Refusal {
            reason: Reason::VersionConflict,
            current_version: Some(order.version),
        };
        return Err((conflict, Some(order_id)));
    }
    if !order.is_open() {
        return Err((refusal(Reason::OrderClosed), Some(order_id)));
    }
    Ok(())
}

fn forward(account: &mut Account, desk: &mut Desk<'_>, command_id: CommandId, in_flight: InFlight, deadline_us: i64) {
    let order_id = in_flight.order_id;
    let Some(mut order) = account.orders.edit(order_id) else {
        return;
    };
    order.in_flight += 1;
    let symbol = order.symbol;
    drop(order);
    account.in_flight.insert(command_id, in_flight);
    let cancel = CancelBookOrder {
        command_id,
        order_id,
        account_id: account.id,
        symbol,
        deadline_us,
    };
    desk.forward(symbol, BookCommand::CancelBookOrder(cancel));
}

/// Orders that are yet to be cancelled with all the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sweep {
    command_id: CommandId,
    symbol: Option<Symbol>,
    after: Option<OrderId>,
}

pub(super) fn cancel_all(account: &mut Account, desk: &mut Desk<'_>, command: CancelAllOrders) -> Option<Sweep> {
    let content = content_hash(&("cancel all", command.symbol));
    let key = command.idempotency_key.as_deref();
    let admitted = admit(account, desk, &command.meta, key, content)?;
    let command_id = command.meta.command_id;
    desk.record(account, event(AccountEventKind::CancelAllRequested, Some(command_id)));
    admitted.finish(account, desk, Outcome::Account, blank_reply(ReplyKind::Account));
    Some(Sweep {
        command_id,
        symbol: command.symbol,
        after: None,
    })
}

pub(super) fn set_kill_switch(account: &mut Account, desk: &mut Desk<'_>, command: SetKillSwitch) -> Option<Sweep> {
    let content = content_hash(&("kill switch", command.engaged, command.operator.as_deref()));
    let key = command.idempotency_key.as_deref();
    let admitted = admit(account, desk, &command.meta, key, content)?;
    let command_id = command.meta.command_id;
    account.core.kill_switch = command.engaged;
    let changed = AccountEvent {
        status: Some(account.status_view()),
        ..event(AccountEventKind::KillSwitchChanged, Some(command_id))
    };
    desk.record(account, changed);
    admitted.finish(account, desk, Outcome::Account, blank_reply(ReplyKind::Account));
    command.engaged.then_some(Sweep {
        command_id,
        symbol: None,
        after: None,
    })
}

/// Forwards the next cancels of a sweep. Returns what is left of it; none when it is done.
pub(super) fn sweep(account: &mut Account, desk: &mut Desk<'_>, mut sweep: Sweep) -> Option<Sweep> {
    let from = sweep.after.map_or(Bound::Unbounded, Bound::Excluded);
    let next: Vec<OrderId> = account
        .open_orders
        .range((from, Bound::Unbounded))
        .take(CANCELS_PER_STEP)
        .copied()
        .collect();
    for order_id in &next {
        let wanted = account
            .orders
            .get(order_id)
            .is_some_and(|order| sweep.symbol.is_none_or(|symbol| symbol == order.symbol));
        let command_id = cancel_id(sweep.command_id, *order_id);
        if wanted && !account.in_flight.contains(&command_id) {
            let in_flight = InFlight {
                order_id: *order_id,
                action: Action::Cancel { with_all: true },
                answer: None,
                key: None,
            };
            // The client was promised that all orders are cancelled: no deadline takes that back.
            forward(account, desk, command_id, in_flight, i64::MAX);
        }
    }
    sweep.after = next.last().copied();
    (next.len() == CANCELS_PER_STEP).then_some(sweep)
}

/// The command id of one cancel of a sweep.
fn cancel_id(command_id: CommandId, order_id: OrderId) -> CommandId {
    CommandId(content_hash(&(command_id, order_id)).to_le_bytes())
}
