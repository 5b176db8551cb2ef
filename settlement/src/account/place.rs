//! A client places an order: repeat, reject, or reserve and forward.
//!
//! The key is the client's own id of the order. It is remembered for every order that was judged,
//! also when it was rejected or came after its deadline, here or at the book: the same id never has
//! two outcomes. It is not remembered when there is no room for another key, or when the order
//! cannot be recorded at all.

use brokerx_schemas::{
    AccountEventKind, AckMode, BookCommand, CommandMeta, NewOrder, OrderId, OrderStatus, OrderType, PlaceOrder, Reason,
    Reply, SelfTradePrevention, Side, TimeInForce,
};

use super::answer::Answer;
use super::checks;
use super::desk::{Desk, event};
use super::fees::{FeeSchedule, Traded};
use super::hash::content_hash;
use super::idempotency::{is_full, refuse_for_now};
use super::order::{CancelInFlight, Executions, Order, Terms};
use super::reservation::adjust;
use super::state::{Account, Action, Followers, InFlight};

/// The longest id that a client may give an order, in bytes.
const CLIENT_ORDER_ID_LENGTH_MAX: usize = 64;

pub(super) fn place(account: &mut Account, desk: &mut Desk<'_>, command: PlaceOrder) {
    let content = content_of(&command);
    let known = account.order_of_key(content_hash(command.client_order_id.as_str()));
    let refused = match known {
        Some((order_id, known)) if known == content => return repeat(account, desk, &command, order_id),
        Some(_) => Reason::IdempotencyMismatch,
        None if !is_readable(&command) => Reason::InvalidOrder,
        None if account.in_flight.contains(&command.meta.command_id) => Reason::IdempotencyMismatch,
        None if is_full(account, desk) => Reason::TooManyRequests,
        None => {
            let order = order_of(desk, &command, content);
            let judged = match desk.context.is_past(command.meta.deadline_us) {
                true => Err(Reason::ExpiredRequest),
                false => checks::new_order(account, desk.rules, &order),
            };
            return match judged {
                Ok(()) => accept(account, desk, command, order),
                Err(reason) => reject(account, desk, command.meta, rejected(order, reason)),
            };
        }
    };
    refuse_for_now(account, desk, &command.meta, refused, None);
}

/// The hash of the client's own fields: what the ingress stamps is not compared.
fn content_of(command: &PlaceOrder) -> u128 {
    content_hash(&(
        (command.symbol, command.side, command.order_type, command.quantity),
        (command.price_cents, command.stop_price_cents, command.time_in_force),
        (
            command.post_only,
            command.display_quantity,
            command.self_trade_prevention,
        ),
    ))
}

/// Whether the order can be recorded at all.
fn is_readable(command: &PlaceOrder) -> bool {
    let id = command.client_order_id.as_bytes();
    (1..=CLIENT_ORDER_ID_LENGTH_MAX).contains(&id.len())
        && id.iter().all(|byte| (b' '..=b'~').contains(byte))
        && command.side != Side::Unknown
        && command.order_type != OrderType::Unknown
        && command.time_in_force != TimeInForce::Unknown
        && command.self_trade_prevention != SelfTradePrevention::Unknown
}

/// The order as it will be when it is accepted.
fn order_of(desk: &Desk<'_>, command: &PlaceOrder, content: u128) -> Box<Order> {
    let now_us = desk.now_us();
    Box::new(Order {
        id: desk.rules.order_id(desk.context),
        client_order_id: command.client_order_id.as_str().into(),
        content,
        symbol: command.symbol,
        side: command.side,
        order_type: command.order_type,
        stop_price_cents: command.stop_price_cents,
        collar_price_cents: checks::collar_price_cents(command, desk.rules.config.collar_bps),
        post_only: command.post_only,
        display_quantity: command.display_quantity,
        self_trade_prevention: command.self_trade_prevention,
        terms: Terms {
            quantity: command.quantity,
            price_cents: command.price_cents,
            time_in_force: command.time_in_force,
        },
        change: None,
        fees: FeeSchedule::of(&desk.rules.config),
        status: OrderStatus::Accepted,
        reason: None,
        version: 1,
        event_seq: 1,
        traded: Traded::default(),
        reserved_cents: 0,
        reserved_quantity: 0,
        created_us: now_us,
        updated_us: now_us,
        in_flight: 0,
        closed_us: None,
        executions: Executions::default(),
        cancel: CancelInFlight::default(),
    })
}

fn rejected(mut order: Box<Order>, reason: Reason) -> Box<Order> {
    order.status = OrderStatus::Rejected;
    order.reason = Some(reason);
    order
}

fn accept(account: &mut Account, desk: &mut Desk<'_>, command: PlaceOrder, mut order: Box<Order>) {
    let (order_id, symbol) = (order.id, order.symbol);
    let command_id = command.meta.command_id;
    desk.touched = Some(symbol);
    order.in_flight = 1;
    let changed = adjust(&mut account.core.cash, &mut account.positions, &mut order);
    let new_order = NewOrder {
        command_id,
        order_id,
        account_id: account.id,
        symbol,
        side: order.side,
        order_type: order.order_type,
        quantity: order.terms.quantity,
        price_cents: order.terms.price_cents,
        stop_price_cents: order.stop_price_cents,
        collar_price_cents: order.collar_price_cents,
        time_in_force: order.terms.time_in_force,
        post_only: order.post_only,
        display_quantity: order.display_quantity,
        self_trade_prevention: order.self_trade_prevention,
        deadline_us: command.meta.deadline_us,
    };
    account.insert_order(order);
    let answer = Answer::of(&command.meta);
    let (now, later) = match command.ack_mode {
        AckMode::Accepted => (answer, None),
        AckMode::Worked | AckMode::Unknown => (None, answer),
    };
    let in_flight = InFlight {
        order_id,
        action: Action::Place,
        answer: later,
        key: None,
        followers: Followers::default(),
        sent: desk.sent(),
    };
    account.in_flight.insert(command_id, in_flight);
    let accepted = event(AccountEventKind::OrderAccepted, Some(command_id));
    desk.record_order(account, accepted, order_id, changed);
    desk.forward(symbol, BookCommand::NewOrder(new_order));
    desk.reply(account, now, Desk::order_reply(account, order_id));
}

fn reject(account: &mut Account, desk: &mut Desk<'_>, meta: CommandMeta, order: Box<Order>) {
    let order_id = order.id;
    account.insert_order(order);
    let event = event(AccountEventKind::OrderRejected, Some(meta.command_id));
    desk.record_order(account, event, order_id, false);
    desk.reply(account, Answer::of(&meta), Desk::order_reply(account, order_id));
    desk.close_if_over(account, order_id);
}

/// The same order again: the original decision with the current state, or its outcome once it comes.
fn repeat(account: &mut Account, desk: &mut Desk<'_>, command: &PlaceOrder, order_id: OrderId) {
    if let Some(known) = account.rejected.get(&order_id).copied() {
        let order = order_of(desk, command, known.content);
        let mut order = rejected(order, known.reason);
        order.id = order_id;
        order.event_seq = known.event_seq;
        (order.created_us, order.updated_us) = (known.created_us, known.closed_us);
        let reply = Reply {
            order: Some(order.view(account.id)),
            replayed: true,
            ..Desk::order_reply(account, order_id)
        };
        return desk.reply(account, Answer::of(&command.meta), reply);
    }
    let waits_for_book = command.ack_mode != AckMode::Accepted;
    let pending = account
        .in_flight
        .iter()
        .find(|(_, in_flight)| in_flight.order_id == order_id && in_flight.action == Action::Place)
        .map(|(command_id, _)| *command_id);
    if let Some(command_id) = pending.filter(|_| waits_for_book) {
        if let Some(mut in_flight) = account.in_flight.edit(command_id) {
            in_flight.answer = Answer::of(&command.meta);
        }
        return;
    }
    let reply = Reply {
        replayed: true,
        ..Desk::order_reply(account, order_id)
    };
    desk.reply(account, Answer::of(&command.meta), reply);
}
