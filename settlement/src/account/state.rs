//! One account and everything that belongs to it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use brokerx_schemas::{AccountId, AccountLimits, AccountState, CommandId, OrderId, PaymentId, StatusView, Symbol};

use super::answer::Answer;
use super::entries::Entries;
use super::hash::{content_hash, entry_hash};
use super::order::Order;
use super::payment::{Payment, PaymentDay, PaymentKey};
use super::position::{Cash, Position};
use super::remembered::Remembered;
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
}

/// A command that a book has not answered.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub(super) struct InFlight {
    pub(super) order_id: OrderId,
    pub(super) action: Action,
    pub(super) answer: Option<Answer>,
    /// The idempotency key under which the outcome is remembered (a place has its order's).
    pub(super) key: Option<u128>,
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
    }
}

/// One account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) core: Core,
    pub(super) positions: Entries<Symbol, Position>,
    /// Open orders, and ended ones whose key is remembered.
    pub(super) orders: Entries<OrderId, Box<Order>>,
    pub(super) in_flight: Entries<CommandId, InFlight>,
    /// Commands other than orders and payments whose key is remembered, by the key's hash.
    pub(super) commands: Entries<u128, Remembered>,
    pub(super) payments: Entries<PaymentId, Payment>,
    /// Keys of payments, by their hash; never forgotten.
    pub(super) payment_keys: Entries<u128, PaymentKey>,
    /// Follows from `orders`: the order of a client's own id, by the id's hash.
    pub(super) order_keys: BTreeMap<u128, OrderId>,
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
            },
            positions: Entries::default(),
            orders: Entries::default(),
            in_flight: Entries::default(),
            commands: Entries::default(),
            payments: Entries::default(),
            payment_keys: Entries::default(),
            order_keys: BTreeMap::new(),
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
    }

    /// Keys of orders and commands that are remembered, those in flight included.
    pub(super) fn remembered_keys(&self) -> usize {
        self.orders.len() + self.commands.len()
    }

    pub(super) fn may_trade(&self) -> bool {
        self.core.state == AccountState::Active && !self.core.kill_switch
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
        self.order_keys.insert(content_hash(&*order.client_order_id), order.id);
        if order.is_open() {
            self.open_orders.insert(order.id);
        }
        self.orders.insert(order.id, order);
    }

    /// Forgets an order whose time is over.
    pub(super) fn forget_order(&mut self, order_id: OrderId) {
        if let Some(order) = self.orders.remove(&order_id) {
            self.order_keys.remove(&content_hash(&*order.client_order_id));
        }
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
