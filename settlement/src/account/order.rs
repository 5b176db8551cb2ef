//! One order as settlement knows it.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use brokerx_schemas::{
    AccountId, CommandId, Execution, Liquidity, OrderId, OrderStatus, OrderType, OrderView, Reason, Reply,
    SelfTradePrevention, Side, Symbol, TimeInForce,
};

use super::fees::{FeeSchedule, Traded};
use super::hash::entry_hash;

/// What a replace can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Terms {
    /// Total shares, what traded included.
    pub(super) quantity: i64,
    /// Limit price; none for market and stop.
    pub(super) price_cents: Option<i64>,
    pub(super) time_in_force: TimeInForce,
}

/// A replace in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Change {
    /// The terms that were asked for; the book may apply them at any time.
    Asked(Terms),
    /// A fill has shown that the book applied them; only its answer is outstanding.
    Stands,
}

/// An order, from its acceptance or rejection until its key is forgotten.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) id: OrderId,
    pub(super) client_order_id: Box<str>,
    /// Hash of the client's own fields: a repeat is compared with it.
    pub(super) content: u128,
    pub(super) symbol: Symbol,
    pub(super) side: Side,
    pub(super) order_type: OrderType,
    pub(super) stop_price_cents: Option<i64>,
    /// The worst price of a market order or stop.
    pub(super) collar_price_cents: Option<i64>,
    pub(super) post_only: bool,
    pub(super) display_quantity: Option<i64>,
    pub(super) self_trade_prevention: SelfTradePrevention,
    /// The terms that stand.
    pub(super) terms: Terms,
    /// The replace in flight; there is one at a time.
    pub(super) change: Option<Change>,
    /// The fees that it was accepted under.
    pub(super) fees: FeeSchedule,
    pub(super) status: OrderStatus,
    pub(super) reason: Option<Reason>,
    pub(super) version: i32,
    pub(super) event_seq: i32,
    pub(super) traded: Traded,
    pub(super) reserved_cents: i64,
    pub(super) reserved_quantity: i64,
    pub(super) created_us: i64,
    pub(super) updated_us: i64,
    /// Commands on it that the book has not answered.
    pub(super) in_flight: i32,
    /// When it ended and nothing on it was in flight any more: from then its key is remembered for a while.
    pub(super) closed_us: Option<i64>,
    pub(super) executions: Executions,
    #[serde(default)]
    pub(super) cancel: CancelInFlight,
}

/// The cancel of an order that the book has not answered: from logic version 2 on there is one at a time.
/// None is no part of the hash, as it was before there was this field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct CancelInFlight(pub(super) Option<CommandId>);

impl Hash for CancelInFlight {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(command_id) = self.0 {
            command_id.hash(state);
        }
    }
}

impl Order {
    pub(super) fn is_open(&self) -> bool {
        !self.status.is_terminal()
    }

    /// Shares of the standing terms that have not traded.
    pub(super) fn leaves(&self) -> i64 {
        self.terms.quantity - self.traded.quantity
    }

    /// Counts one more event of the order.
    pub(super) fn touch(&mut self, now_us: i64) {
        self.event_seq += 1;
        self.updated_us = now_us;
    }

    /// A command on it is not in flight any more.
    pub(super) fn landed(&mut self, command_id: CommandId) {
        self.in_flight -= 1;
        if self.cancel.0 == Some(command_id) {
            self.cancel.0 = None;
        }
    }

    /// The terms that a replace in flight asks for, unless they stand already.
    pub(super) fn asked(&self) -> Option<&Terms> {
        match &self.change {
            Some(Change::Asked(terms)) => Some(terms),
            Some(Change::Stands) | None => None,
        }
    }

    /// From here on the terms stand that the replace in flight asks for.
    pub(super) fn adopt_change(&mut self) {
        if let Some(asked) = self.asked().copied() {
            self.terms = Terms {
                // A total that has traded already ends the order; it cannot be undone.
                quantity: asked.quantity.max(self.traded.quantity),
                ..asked
            };
            self.change = Some(Change::Stands);
            self.version += 1;
        }
    }

    pub(super) fn view(&self, account_id: AccountId) -> OrderView {
        OrderView {
            order_id: self.id,
            account_id,
            client_order_id: self.client_order_id.to_string(),
            symbol: self.symbol,
            side: self.side,
            order_type: self.order_type,
            quantity: self.terms.quantity,
            price_cents: self.terms.price_cents,
            stop_price_cents: self.stop_price_cents,
            collar_price_cents: self.collar_price_cents,
            time_in_force: self.terms.time_in_force,
            post_only: self.post_only,
            display_quantity: self.display_quantity,
            self_trade_prevention: self.self_trade_prevention,
            status: self.status,
            reason: self.reason,
            version: self.version,
            event_seq: self.event_seq,
            filled_quantity: self.traded.quantity,
            filled_notional_cents: self.traded.notional_cents(),
            fees_cents: self.traded.fees_cents,
            reserved_cents: self.reserved_cents,
            reserved_quantity: self.reserved_quantity,
            created_us: self.created_us,
            updated_us: self.updated_us,
        }
    }
}

/// The first executions of an order, as many as a reply carries, with a running hash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Execution>", into = "Vec<Execution>")]
pub(super) struct Executions {
    first: Vec<Execution>,
    digest: u64,
}

impl Executions {
    pub(super) fn push(&mut self, execution: Execution) {
        if self.first.len() == Reply::EXECUTIONS_MAX {
            return;
        }
        let Execution {
            trade_id,
            price_cents,
            quantity,
            fee_cents,
            liquidity,
            executed_us,
        } = execution;
        let maker = liquidity == Liquidity::Maker;
        let content = (trade_id, price_cents, quantity, fee_cents, maker, executed_us);
        self.digest = entry_hash(&(self.digest, content));
        self.first.push(execution);
    }

    pub(super) fn first(&self) -> &[Execution] {
        &self.first
    }
}

impl Hash for Executions {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl From<Vec<Execution>> for Executions {
    fn from(list: Vec<Execution>) -> Self {
        let mut executions = Self::default();
        list.into_iter().for_each(|execution| executions.push(execution));
        executions
    }
}

impl From<Executions> for Vec<Execution> {
    fn from(executions: Executions) -> Self {
        executions.first
    }
}
