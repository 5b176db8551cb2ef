//! One account and everything that belongs to it.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use brokerx_schemas::{
    AccountId, AccountLimits, AccountState, CommandId, OrderId, OrderStatus, PaymentId, Reason, StatusView, Symbol,
};

use super::answer::Answer;
use super::asks::Asks;
use super::entries::Entries;
use super::hash::entry_hash;
use super::order::Order;
use super::orders::{OrderKeys, Orders, key_of};
use super::payment::{Payment, PaymentDay, PaymentKey};
use super::position::{Cash, Position};
use super::remembered::{Rejected, Remembered};
use super::rules::Rules;

/// What only a fault of a machine can cause, never a client. It freezes the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BrokenInvariant {
    /// A book spoke of an account that does not exist.
    UnknownAccount,
    /// A book spoke of an order that does not exist.
    UnknownOrder,
    /// A book answered a command that is not in flight.
    UnknownCommand,
    /// A fill that its order's terms do not allow, or of an order that has ended.
    ImpossibleFill,
    /// An answer that contradicts what is known of the order.
    ImpossibleAnswer,
    /// Cash: less than nothing, or more reserved than there is.
    UnsoundCash,
    /// Shares: less than nothing, more reserved than there are, or a negative cost.
    UnsoundPosition,
}

/// What a command in flight asks of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Action {
    Place,
    Cancel {
        /// Cancelled with all the others, not by itself.
        with_all: bool,
    },
    Replace,
    /// Cancelled because its account may not trade any more, for this reason.
    CancelBecause(Reason),
}

impl Action {
    pub(super) fn is_cancel(self) -> bool {
        matches!(self, Self::Cancel { .. } | Self::CancelBecause(_))
    }
}

/// A command that a book has not answered.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub(super) struct InFlight {
    pub(super) order_id: OrderId,
    pub(super) action: Action,
    pub(super) answer: Option<Answer>,
    /// The idempotency key under which the outcome is remembered (a place has its order's).
    pub(super) key: Option<u128>,
    #[serde(default)]
    pub(super) followers: Followers,
    #[serde(default)]
    pub(super) sent: Sent,
}

/// The offset of the record because of which a command went to its book; 0 before logic version 3. A book
/// answers in this order. 0 is no part of the hash, as it was before there was this field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Sent(pub(super) i64);

impl Hash for Sent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.0 != 0 {
            self.0.hash(state);
        }
    }
}

/// A cancel that waits for the answer to an earlier one of the same order.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub(super) struct Follower {
    pub(super) command_id: CommandId,
    pub(super) action: Action,
    pub(super) answer: Option<Answer>,
    pub(super) key: Option<u128>,
    pub(super) deadline_us: i64,
}

/// The cancels that wait behind one in flight, in the order in which they came. None of them is no part
/// of the hash, as it was before there was this field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Followers(pub(super) Vec<Follower>);

impl Followers {
    /// The most that wait behind one cancel; a further one is told to come later.
    pub(super) const MAX: usize = 16;
}

impl Hash for Followers {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if !self.0.is_empty() {
            self.0.hash(state);
        }
    }
}

/// The part of an account that has a fixed size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Core {
    pub(super) state: AccountState,
    /// Version of `state`, from the identity outbox.
    pub(super) status_version: i64,
    pub(super) kill_switch: bool,
    pub(super) frozen: Option<BrokenInvariant>,
    /// The last number given to an event of this account.
    pub(super) account_seq: i64,
    pub(super) cash: Cash,
    /// None: the configuration's.
    pub(super) limits: Option<AccountLimits>,
    pub(super) deposits: PaymentDay,
    pub(super) withdrawals: PaymentDay,
    /// The number of the event that closed the account's last day, from logic version 2 on.
    #[serde(default)]
    pub(super) closed_seq: i64,
    /// Since it may not trade any more, from logic version 3 on.
    #[serde(default)]
    pub(super) asks: Asks,
}

impl Hash for Core {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self {
            state,
            status_version,
            kill_switch,
            frozen,
            account_seq,
            cash,
            limits,
            deposits,
            withdrawals,
            closed_seq,
            asks,
        } = self;
        let limits = limits.map(|limits| {
            let AccountLimits {
                order_quantity_max,
                order_notional_cents_max,
                open_orders_max,
            } = limits;
            (order_quantity_max, order_notional_cents_max, open_orders_max)
        });
        (state, status_version, kill_switch, frozen, account_seq).hash(hasher);
        (cash, limits, deposits, withdrawals).hash(hasher);
        // What an older logic version did not know is no part of the hash until it is used.
        if *closed_seq != 0 {
            closed_seq.hash(hasher);
        }
        asks.hash(hasher);
    }
}

/// One account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) core: Core,
    pub(super) positions: Entries<Symbol, Position>,
    /// Open orders, and ended ones whose key is remembered.
    pub(super) orders: Orders,
    /// What is remembered of orders that were rejected, from logic version 2 on.
    pub(super) rejected: Entries<OrderId, Rejected>,
    pub(super) in_flight: Entries<CommandId, InFlight>,
    /// Commands other than orders and payments whose key is remembered, by the key's hash.
    pub(super) commands: Entries<u128, Remembered>,
    pub(super) payments: Entries<PaymentId, Payment>,
    /// Keys of payments, by their hash; never forgotten.
    pub(super) payment_keys: Entries<u128, PaymentKey>,
    /// Follows from `orders` and `rejected`: the order of a client's own id.
    order_keys: OrderKeys,
    /// Follows from `orders`.
    pub(super) open_orders: BTreeSet<OrderId>,
}

impl Account {
    pub(super) fn new(id: AccountId) -> Self {
        Self {
            id,
            core: Core {
                state: AccountState::Pending,
                status_version: 0,
                kill_switch: false,
                frozen: None,
                account_seq: 0,
                cash: Cash::default(),
                limits: None,
                deposits: PaymentDay::default(),
                withdrawals: PaymentDay::default(),
                closed_seq: 0,
                asks: Asks::default(),
            },
            positions: Entries::default(),
            orders: Orders::default(),
            rejected: Entries::default(),
            in_flight: Entries::default(),
            commands: Entries::default(),
            payments: Entries::default(),
            payment_keys: Entries::default(),
            order_keys: OrderKeys::default(),
            open_orders: BTreeSet::new(),
        }
    }

    /// The hash of the whole account, from sums that are kept up to date.
    pub(super) fn hash(&self) -> u64 {
        entry_hash(&(
            (self.id, &self.core),
            [self.positions.sum(), self.orders.sum(), self.in_flight.sum()],
            [self.commands.sum(), self.payments.sum(), self.payment_keys.sum()],
        ))
        .wrapping_add(self.rejected.sum())
    }

    /// Keys of orders and commands that are remembered, those in flight included.
    pub(super) fn remembered_keys(&self) -> usize {
        self.orders.len() + self.rejected.len() + self.commands.len()
    }

    pub(super) fn may_trade(&self) -> bool {
        self.core.state == AccountState::Active && !self.core.kill_switch
    }

    /// Why its orders leave the books, if they do.
    pub(super) fn reason_to_leave(&self) -> Option<Reason> {
        match (self.core.frozen, self.core.state) {
            (Some(_), _) => Some(Reason::Frozen),
            (None, AccountState::Active) => None,
            (None, _) => Some(Reason::AccountNotActive),
        }
    }

    /// The second in which the books are asked again for its orders; none when there is nothing to ask.
    pub(super) fn asks_at(&self) -> Option<i64> {
        self.reason_to_leave()?;
        // What is in flight keeps a frozen account from being thawed.
        let waits = !self.open_orders.is_empty() || self.core.frozen.is_some() && self.in_flight.len() > 0;
        waits.then(|| self.core.asks.next_second())
    }

    pub(super) fn limits(&self, rules: &Rules) -> AccountLimits {
        self.core.limits.unwrap_or_else(|| rules.default_limits())
    }

    pub(super) fn position(&self, symbol: Symbol) -> Position {
        self.positions.get(&symbol).copied().unwrap_or_default()
    }

    pub(super) fn status_view(&self) -> StatusView {
        StatusView {
            state: self.core.state,
            version: self.core.status_version,
            kill_switch: self.core.kill_switch,
        }
    }

    /// Takes in a new order or one from a snapshot.
    pub(super) fn insert_order(&mut self, order: Box<Order>) {
        self.order_keys.insert(key_of(&order), order.id);
        if order.is_open() {
            self.open_orders.insert(order.id);
        }
        let (id, is_closed) = (order.id, order.closed_us.is_some());
        self.orders.insert(order);
        if is_closed {
            self.orders.pack(id);
        }
    }

    /// The order that has a client's own id, by the id's hash, and the hash of what was asked for.
    pub(super) fn order_of_key(&self, key: u128) -> Option<(OrderId, u128)> {
        let known = |id: OrderId| -> Option<(u128, u128)> {
            let order = self.orders.get(&id).map(|order| (key_of(&order), order.content));
            order.or_else(|| self.rejected.get(&id).map(|rejected| (rejected.key, rejected.content)))
        };
        let id = self
            .order_keys
            .find(key, |id| known(id).is_some_and(|(own, _)| own == key))?;
        known(id).map(|(_, content)| (id, content))
    }

    /// Takes in what is remembered of a rejected order.
    pub(super) fn insert_rejected(&mut self, order_id: OrderId, rejected: Rejected) {
        self.order_keys.insert(rejected.key, order_id);
        self.rejected.insert(order_id, rejected);
    }

    /// Keeps of an order that was rejected only what a repeat is answered with.
    pub(super) fn shrink_rejected(&mut self, order_id: OrderId, closed_us: i64) {
        let Some(order) = self.orders.get(&order_id) else {
            return;
        };
        if order.status != OrderStatus::Rejected {
            return;
        }
        let rejected = Rejected {
            key: key_of(&order),
            content: order.content,
            reason: order.reason.unwrap_or_default(),
            event_seq: order.event_seq,
            created_us: order.created_us,
            closed_us,
        };
        drop(order);
        self.orders.remove(&order_id);
        self.insert_rejected(order_id, rejected);
    }

    /// Whether an order is open or in flight again, or was until after a second: it was recalled.
    pub(super) fn is_needed_after(&self, order_id: OrderId, second: i64) -> bool {
        let order = self.orders.get(&order_id);
        order.is_some_and(|order| {
            order
                .closed_us
                .is_none_or(|closed_us| closed_us.div_euclid(1_000_000) > second)
        })
    }

    /// Forgets an order whose time is over.
    pub(super) fn forget_order(&mut self, order_id: OrderId) {
        if let Some(order) = self.orders.remove(&order_id) {
            self.order_keys.remove(key_of(&order), order_id);
        }
        if let Some(rejected) = self.rejected.remove(&order_id) {
            self.order_keys.remove(rejected.key, order_id);
        }
    }

    /// Whether it holds anything, or anything of it is under way.
    pub(super) fn has_holdings(&self) -> bool {
        self.core.cash != Cash::default()
            || self.positions.len() > 0
            || !self.open_orders.is_empty()
            || self.in_flight.len() > 0
    }

    /// The first thing of the cash and of one position that is not as it must be.
    pub(super) fn broken_invariant(&self, symbol: Option<Symbol>) -> Option<BrokenInvariant> {
        if !self.core.cash.is_sound() {
            return Some(BrokenInvariant::UnsoundCash);
        }
        let position = symbol.and_then(|symbol| self.positions.get(&symbol))?;
        (!position.is_sound()).then_some(BrokenInvariant::UnsoundPosition)
    }
}
