//! Where decisions become records: events, forwarded commands, replies.

use brokerx_schemas::{
    AccountEvent, AccountEventKind, AccountId, BookCommand, CommandId, OrderId, OrderStatus, PaymentView, Reason,
    Refusal, Reply, ReplyKind, Side, Symbol,
};
use brokerx_topics::machine::{Context, Outputs};
use brokerx_topics::partition::{account_key, partition_of, symbol_key};

use super::answer::Answer;
use super::memory::{Memory, RememberedKey};
use super::position::Cash;
use super::rules::Rules;
use super::state::{Account, BrokenInvariant, Sent};

/// The surroundings of one command on one account.
pub(super) struct Desk<'a> {
    pub(super) context: &'a Context,
    pub(super) rules: &'a Rules,
    pub(super) memory: &'a mut Memory,
    outputs: &'a mut Outputs,
    /// The cash that the last event of the account showed.
    cash_shown: Cash,
    /// The position that was touched, to be checked at the end.
    pub(super) touched: Option<Symbol>,
    /// Whether the account was frozen here.
    pub(super) froze: bool,
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        context: &'a Context,
        rules: &'a Rules,
        memory: &'a mut Memory,
        outputs: &'a mut Outputs,
        account: &Account,
    ) -> Self {
        Self {
            context,
            rules,
            memory,
            outputs,
            cash_shown: account.core.cash,
            touched: None,
            froze: false,
        }
    }

    pub(super) fn now_us(&self) -> i64 {
        self.context.now_us()
    }

    /// The place of a command that goes to its book here.
    pub(super) fn sent(&self) -> Sent {
        match self.rules.since(3) {
            true => Sent(self.context.offset),
            false => Sent::default(),
        }
    }

    /// Writes the account's next event; the cash goes with it when it changed.
    pub(super) fn record(&mut self, account: &mut Account, event: AccountEvent) {
        account.core.account_seq += 1;
        let changed = account.core.cash != self.cash_shown;
        self.cash_shown = account.core.cash;
        let event = AccountEvent {
            account_id: account.id,
            account_seq: account.core.account_seq,
            logic_version: self.rules.logic_version,
            occurred_us: self.context.now_us(),
            cash: changed.then(|| account.core.cash.view()),
            ..event
        };
        let key = account_key(account.id);
        self.outputs
            .send(partition_of(&key, self.rules.event_partitions), key, event);
    }

    /// Hands a command to the book of a symbol.
    pub(super) fn forward(&mut self, symbol: Symbol, command: BookCommand) {
        let key = symbol_key(symbol);
        self.outputs
            .send(partition_of(&key, self.rules.book_partitions), key, command);
    }

    /// Sends a reply, if somebody waits for it.
    pub(super) fn reply(&mut self, account: &Account, answer: Option<Answer>, reply: Reply) {
        let seq = Some(account.core.account_seq);
        send_reply(
            self.outputs,
            self.rules,
            answer,
            Reply {
                account_seq: seq,
                ..reply
            },
        );
    }

    /// An order of the account as a reply: what it is, or the refusal that it met.
    pub(super) fn order_reply(account: &Account, order_id: OrderId) -> Reply {
        let mut reply = blank_reply(ReplyKind::Order);
        if let Some(order) = account.orders.get(&order_id) {
            if order.status == OrderStatus::Rejected {
                reply.kind = ReplyKind::Refused;
                reply.refusal = Some(refusal(order.reason.unwrap_or_default()));
            }
            reply.order = Some(order.view(account.id));
            reply.executions = order.executions.first().to_vec();
        } else if let Some(rejected) = account.rejected.get(&order_id) {
            reply.kind = ReplyKind::Refused;
            reply.refusal = Some(refusal(rejected.reason));
        }
        reply
    }

    /// A refusal as a reply, with the order that it is about.
    pub(super) fn refused_reply(account: &Account, refusal: Refusal, order_id: Option<OrderId>) -> Reply {
        let about = order_id
            .map(|order_id| Self::order_reply(account, order_id))
            .unwrap_or_else(|| blank_reply(ReplyKind::Refused));
        Reply {
            kind: ReplyKind::Refused,
            refusal: Some(refusal),
            ..about
        }
    }

    /// A payment as a reply.
    pub(super) fn payment_reply(payment: PaymentView) -> Reply {
        Reply {
            payment: Some(payment),
            ..blank_reply(ReplyKind::Payment)
        }
    }

    /// Writes what happened to an order, with the position when it changed.
    pub(super) fn record_order(
        &mut self,
        account: &mut Account,
        event: AccountEvent,
        order_id: OrderId,
        changed: bool,
    ) {
        let Some(order) = account.orders.get(&order_id) else {
            return;
        };
        let (symbol, is_sell) = (order.symbol, order.side == Side::Sell);
        let mut event = AccountEvent {
            order: Some(order.view(account.id)),
            ..event
        };
        if changed && is_sell {
            event.positions = vec![account.position(symbol).view(symbol)];
        }
        self.record(account, event);
    }

    /// Writes that a command was refused and nothing is remembered of it. Only before logic version 2:
    /// what changes nothing would fill the log at the rate at which somebody asks.
    pub(super) fn note_refusal(
        &mut self,
        account: &mut Account,
        command_id: CommandId,
        refusal: Refusal,
        order_id: Option<OrderId>,
    ) {
        if !self.rules.since(2) {
            self.record_refusal(account, Some(command_id), refusal, order_id);
        }
    }

    /// Writes that a command was refused and changed no order.
    pub(super) fn record_refusal(
        &mut self,
        account: &mut Account,
        command_id: Option<CommandId>,
        refusal: Refusal,
        order_id: Option<OrderId>,
    ) {
        let order = order_id.and_then(|order_id| account.orders.get(&order_id));
        let event = AccountEvent {
            order: order.map(|order| order.view(account.id)),
            refusal: Some(refusal),
            ..event(AccountEventKind::CommandRefused, command_id)
        };
        self.record(account, event);
    }

    /// Freezes the account: from here on its commands are refused but cancels and the kill switch, its open
    /// orders are cancelled, and what the books send is still booked.
    pub(super) fn freeze(&mut self, account: &mut Account, broken: BrokenInvariant) {
        if account.core.frozen.is_none() {
            account.core.frozen = Some(broken);
            self.froze = true;
        }
        let event = AccountEvent {
            status: Some(account.status_view()),
            limits: Some(account.limits(self.rules)),
            refusal: Some(refusal(Reason::Frozen)),
            ..event(AccountEventKind::Frozen, None)
        };
        self.record(account, event);
    }

    /// Starts the time for which the key of an order that has ended, and on which nothing is in
    /// flight any more, is remembered.
    pub(super) fn close_if_over(&mut self, account: &mut Account, order_id: OrderId) {
        let now_us = self.now_us();
        let Some(mut order) = account.orders.edit(order_id).filter(|order| !order.is_open()) else {
            return;
        };
        account.open_orders.remove(&order_id);
        if order.in_flight > 0 {
            return;
        }
        if order.closed_us.is_some() {
            drop(order);
            return account.orders.pack(order_id);
        }
        order.closed_us = Some(now_us);
        drop(order);
        self.memory.schedule(now_us, account.id, RememberedKey::Order(order_id));
        if self.rules.since(2) {
            account.shrink_rejected(order_id, now_us);
        }
        account.orders.pack(order_id);
    }
}

/// Sends a reply to whoever waits for it. An address outside of the topic is nobody's: nothing is
/// sent.
pub(super) fn send_reply(outputs: &mut Outputs, rules: &Rules, answer: Option<Answer>, reply: Reply) {
    let Some(Answer { command_id, reply_to }) = answer else {
        return;
    };
    if (0..rules.reply_partitions).contains(&reply_to.partition) {
        let reply = Reply { command_id, ..reply };
        outputs.send(reply_to.partition, reply_to.instance.into_bytes(), reply);
    }
}

/// A reply that waits for its contents and its command.
pub(super) fn blank_reply(kind: ReplyKind) -> Reply {
    Reply::new(CommandId::default(), kind)
}

/// A refusal without a version.
pub(super) fn refusal(reason: Reason) -> Refusal {
    Refusal {
        reason,
        current_version: None,
    }
}

/// An event that carries nothing yet; its place and time come from [`Desk::record`].
pub(super) fn event(kind: AccountEventKind, command_id: Option<CommandId>) -> AccountEvent {
    AccountEvent {
        account_id: AccountId(0),
        account_seq: 0,
        kind,
        logic_version: 0,
        command_id,
        occurred_us: 0,
        order: None,
        execution: None,
        payment: None,
        transfer: None,
        status: None,
        limits: None,
        refusal: None,
        closed_day: None,
        cash: None,
        positions: Vec::new(),
        postings: Vec::new(),
        intervention: None,
    }
}
