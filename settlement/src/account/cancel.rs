//! Cancels: of one order, of all, and the kill switch.
//!
//! A cancel is forwarded while settlement holds the order open, whatever else is in flight but another
//! cancel: the book alone knows who came first. A further cancel of the same order waits for the answer
//! to the one in flight, which is its answer too, unless that one came too late for its own deadline: then
//! the next one goes to the book. So the commands in flight are bounded by the open orders: a place, a
//! replace and a cancel for each.
//!
//! From logic version 3 on the books are asked again for the orders of an account that may not trade
//! (`asks`), although a cancel is in flight, whose answer may be lost: up to 16 commands on an order are then.
//!
//! From version 4 on an order that a book speaks of and that is not known here is cancelled too, without
//! anything that waits for the answer (`remove_from_book`).

use std::collections::BTreeSet;
use std::ops::Bound;

use brokerx_schemas::{
    AccountEvent, AccountEventKind, BookCommand, CancelAllOrders, CancelBookOrder, CancelOrder, CommandId, OrderId,
    Reason, Refusal, ReplyKind, SetKillSwitch, Symbol,
};
use brokerx_topics::machine::Context;

use super::answer::Answer;
use super::asks::BESIDE_MAX;
use super::desk::{Desk, blank_reply, event, refusal};
use super::hash::content_hash;
use super::idempotency::{Request, admit, refuse_for_now};
use super::remembered::Outcome;
use super::state::{Account, Action, Follower, Followers, InFlight};

/// At most this many cancels are forwarded before outputs are taken.
const CANCELS_PER_STEP: usize = 100;

pub(super) fn cancel(account: &mut Account, desk: &mut Desk<'_>, command: CancelOrder) {
    let request = Request {
        meta: &command.meta,
        operator: None,
        key: command.idempotency_key.as_deref(),
        content: content_hash(&("cancel", command.order_id, command.client_version)),
        when_frozen: true,
    };
    let Some(admitted) = admit(account, desk, request) else {
        return;
    };
    let order_id = command.order_id;
    if let Err((refusal, order_id)) = check_order(account, order_id, command.client_version) {
        return admitted.refuse(account, desk, refusal, order_id);
    }
    let follower = Follower {
        command_id: command.meta.command_id,
        action: Action::Cancel { with_all: false },
        answer: Answer::of(&command.meta),
        key: admitted.key,
        deadline_us: command.meta.deadline_us,
    };
    if let Some((leader, in_flight)) = leader(account, order_id) {
        if in_flight.followers.0.len() >= Followers::MAX {
            return refuse_for_now(account, desk, &command.meta, Reason::TooManyRequests, Some(order_id));
        }
        admitted.remember_pending(account);
        return follow(account, leader, follower);
    }
    admitted.remember_pending(account);
    let now_us = desk.now_us();
    if let Some(mut order) = account.orders.edit(order_id) {
        order.touch(now_us);
    }
    let requested = event(AccountEventKind::OrderCancelRequested, Some(command.meta.command_id));
    desk.record_order(account, requested, order_id, false);
    forward(account, desk, order_id, follower, Followers::default());
}

/// The cancel of an order that is in flight.
fn leader(account: &Account, order_id: OrderId) -> Option<(CommandId, &InFlight)> {
    let leader = account.orders.get(&order_id)?.cancel.0?;
    Some((leader, account.in_flight.get(&leader)?))
}

/// Lets a cancel wait behind the one that is in flight.
fn follow(account: &mut Account, leader: CommandId, follower: Follower) {
    if let Some(mut leader) = account.in_flight.edit(leader) {
        leader.followers.0.push(follower);
    }
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
        let reason = match account.rejected.contains(&order_id) {
            true => Reason::OrderClosed,
            false => Reason::NotFound,
        };
        return Err((refusal(reason), None));
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

/// Hands a cancel to the book of its order.
fn forward(account: &mut Account, desk: &mut Desk<'_>, order_id: OrderId, cancel: Follower, followers: Followers) {
    let Some(mut order) = account.orders.edit(order_id) else {
        return;
    };
    let command_id = cancel.command_id;
    order.in_flight += 1;
    if desk.rules.since(2) {
        order.cancel.0 = Some(command_id);
    }
    let symbol = order.symbol;
    drop(order);
    let in_flight = InFlight {
        order_id,
        action: cancel.action,
        answer: cancel.answer,
        key: cancel.key,
        followers,
        sent: desk.sent(),
    };
    account.in_flight.insert(command_id, in_flight);
    let cancel = CancelBookOrder {
        command_id,
        order_id,
        account_id: account.id,
        symbol,
        deadline_us: cancel.deadline_us,
    };
    desk.forward(symbol, BookCommand::CancelBookOrder(cancel));
}

/// The book has answered the cancel of an order that was in flight, too late for its deadline: the next
/// one that waits behind it goes to the book, if the order is still open. Returns those that have the same
/// answer.
pub(super) fn after_answer(
    account: &mut Account,
    desk: &mut Desk<'_>,
    order_id: OrderId,
    followers: Followers,
    was_late: bool,
) -> Vec<Follower> {
    let is_open = account.orders.get(&order_id).is_some_and(|order| order.is_open());
    let mut waiting = followers.0;
    if !was_late || !is_open || waiting.is_empty() {
        return waiting;
    }
    let next = waiting.remove(0);
    forward(account, desk, order_id, next, Followers(waiting));
    Vec::new()
}

/// Orders that are yet to be cancelled with all the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sweep {
    /// Names the sweep; each of its cancels gets an id that follows from it.
    command_id: CommandId,
    action: Action,
    symbol: Option<Symbol>,
    after: Option<OrderId>,
    reach: Reach,
}

/// Which orders a sweep cancels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Open ones. One that is being cancelled already is not cancelled once more.
    Once,
    /// Open ones again, and of a frozen account those that have ended while a command is in flight: the book's
    /// answer shows that what was sent before has none any more.
    Again {
        /// Although a cancel of the same order is in flight, before logic version 4.
        beside_others: bool,
    },
}

impl Sweep {
    /// Of every order, because the account may not trade any more.
    pub(super) fn because(reason: Reason, context: &Context) -> Self {
        let place = content_hash(&("sweep", context.partition, context.offset));
        Self {
            command_id: CommandId(place.to_le_bytes()),
            action: Action::CancelBecause(reason),
            symbol: None,
            after: None,
            reach: Reach::Once,
        }
    }

    /// Once more, because the account still may not trade; none when it may.
    pub(super) fn again(account: &Account, context: &Context) -> Option<Self> {
        let reach = Reach::Again {
            beside_others: account.core.asks.beside_others(),
        };
        let once_more = Self::because(account.reason_to_leave()?, context);
        Some(Self { reach, ..once_more })
    }

    fn asked(command_id: CommandId, symbol: Option<Symbol>) -> Self {
        Self {
            command_id,
            action: Action::Cancel { with_all: true },
            symbol,
            after: None,
            reach: Reach::Once,
        }
    }
}

pub(super) fn cancel_all(account: &mut Account, desk: &mut Desk<'_>, command: CancelAllOrders) -> Option<Sweep> {
    let request = Request {
        meta: &command.meta,
        operator: None,
        key: command.idempotency_key.as_deref(),
        content: content_hash(&("cancel all", command.symbol)),
        when_frozen: true,
    };
    let admitted = admit(account, desk, request)?;
    let command_id = command.meta.command_id;
    desk.record(account, event(AccountEventKind::CancelAllRequested, Some(command_id)));
    admitted.finish(account, desk, Outcome::Account, blank_reply(ReplyKind::Account));
    Some(Sweep::asked(command_id, command.symbol))
}

pub(super) fn set_kill_switch(account: &mut Account, desk: &mut Desk<'_>, command: SetKillSwitch) -> Option<Sweep> {
    let operator = command.operator.as_deref();
    let request = Request {
        meta: &command.meta,
        operator,
        key: command.idempotency_key.as_deref(),
        content: content_hash(&("kill switch", command.engaged, operator)),
        when_frozen: true,
    };
    let admitted = admit(account, desk, request)?;
    let command_id = command.meta.command_id;
    account.core.kill_switch = command.engaged;
    let changed = AccountEvent {
        status: Some(account.status_view()),
        ..event(AccountEventKind::KillSwitchChanged, Some(command_id))
    };
    desk.record(account, changed);
    admitted.finish(account, desk, Outcome::Account, blank_reply(ReplyKind::Account));
    command.engaged.then(|| Sweep::asked(command_id, None))
}

/// Forwards the next cancels of a sweep. Returns what is left of it; none when it is done.
pub(super) fn sweep(account: &mut Account, desk: &mut Desk<'_>, mut sweep: Sweep) -> Option<Sweep> {
    let next = next_of(account, &sweep);
    for order_id in &next {
        let wanted = account
            .orders
            .get(order_id)
            .is_some_and(|order| sweep.symbol.is_none_or(|symbol| symbol == order.symbol));
        let command_id = cancel_id(sweep.command_id, *order_id);
        if !wanted || account.in_flight.contains(&command_id) {
            continue;
        }
        let cancel = Follower {
            command_id,
            action: sweep.action,
            answer: None,
            key: None,
            // The client was promised that all orders are cancelled: no deadline takes that back.
            deadline_us: i64::MAX,
        };
        match leader(account, *order_id) {
            None => forward(account, desk, *order_id, cancel, Followers::default()),
            Some(_) if goes_beside(account, desk, *order_id, sweep.reach) => {
                forward(account, desk, *order_id, cancel, Followers::default());
            }
            // One that no deadline can stop is there already, in flight or behind it.
            Some((_, in_flight)) if ends_for_sure(in_flight) => {}
            Some((leader, _)) => follow(account, leader, cancel),
        }
    }
    sweep.after = next.last().copied();
    (next.len() == CANCELS_PER_STEP).then_some(sweep)
}

/// Whether a sweep cancels an order although a cancel of it is in flight, whose answer may be lost.
fn goes_beside(account: &Account, desk: &Desk<'_>, order_id: OrderId, reach: Reach) -> bool {
    let Reach::Again { beside_others } = reach else {
        return false;
    };
    match desk.rules.since(4) {
        true => account
            .orders
            .get(&order_id)
            .is_some_and(|order| order.in_flight < BESIDE_MAX),
        false => beside_others,
    }
}

/// The next orders of a sweep.
fn next_of(account: &Account, sweep: &Sweep) -> Vec<OrderId> {
    let from = (sweep.after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
    let open = account.open_orders.range(from).take(CANCELS_PER_STEP).copied();
    if sweep.reach == Reach::Once || account.core.frozen.is_none() {
        return open.collect();
    }
    let in_flight = account.in_flight.iter().map(|(_, command)| command.order_id);
    let all: BTreeSet<OrderId> = open.chain(in_flight).collect();
    all.range(from).take(CANCELS_PER_STEP).copied().collect()
}

/// Cancels an order that has ended here, because its book spoke of it as one that it still has. What comes
/// of it there is for an operator to correct.
pub(super) fn recall(account: &mut Account, desk: &mut Desk<'_>, order_id: OrderId) {
    if leader(account, order_id).is_some() {
        return;
    }
    if let Some(mut order) = account.orders.edit(order_id) {
        // Its key is remembered until the book has answered.
        order.closed_us = None;
    }
    let cancel = Follower {
        command_id: cancel_id(Sweep::because(Reason::Frozen, desk.context).command_id, order_id),
        action: Action::CancelBecause(Reason::Frozen),
        answer: None,
        key: None,
        deadline_us: i64::MAX,
    };
    forward(account, desk, order_id, cancel, Followers::default());
}

/// Takes an order out of its book that the book has and that is not open here: it has ended, was rejected or
/// forgotten, or was never known. What comes of it there is for an operator to correct.
pub(super) fn remove_from_book(account: &mut Account, desk: &mut Desk<'_>, order_id: OrderId, symbol: Symbol) {
    match account.orders.get(&order_id) {
        // Everything that is open leaves with the freeze.
        Some(order) if order.is_open() => {}
        Some(_) => recall(account, desk, order_id),
        None => {
            // Nothing here can wait for the answer. If this cancel is lost, the next word of the book about the
            // order sends another one.
            let cancel = CancelBookOrder {
                command_id: stray_id(order_id, desk.context.offset),
                order_id,
                account_id: account.id,
                symbol,
                deadline_us: i64::MAX,
            };
            desk.forward(symbol, BookCommand::CancelBookOrder(cancel));
        }
    }
}

/// Whether a command is the cancel of an order that is not known here: nothing waits for its answer.
pub(super) fn is_of_stray(command_id: CommandId, order_id: OrderId) -> bool {
    command_id.0[..8] == stray_id(order_id, 0).0[..8]
}

/// The command id of the cancel of an order that is not known here, sent because of the record at an offset. Its
/// first half tells what it is: nothing is remembered of it.
fn stray_id(order_id: OrderId, offset: i64) -> CommandId {
    let mut id = content_hash(&("stray", order_id)).to_le_bytes();
    id[8..].copy_from_slice(&offset.to_le_bytes());
    CommandId(id)
}

/// Whether no deadline can stop a cancel, or one that waits behind it.
fn ends_for_sure(leader: &InFlight) -> bool {
    let is_sweep = |action: Action| matches!(action, Action::Cancel { with_all: true } | Action::CancelBecause(_));
    is_sweep(leader.action) || leader.followers.0.iter().any(|follower| is_sweep(follower.action))
}

/// The command id of one cancel of a sweep.
fn cancel_id(command_id: CommandId, order_id: OrderId) -> CommandId {
    CommandId(content_hash(&(command_id, order_id)).to_le_bytes())
}
