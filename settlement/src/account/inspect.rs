//! Reading the state: for reconciliation, the offline fold and tests.

use brokerx_schemas::{AccountId, CashView, Execution, OrderId, OrderView, PaymentView, PositionView, StatusView};

use super::machine::AccountMachine;
use super::state::{Account, BrokenInvariant};

/// One account as the machine holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountSummary {
    /// The account.
    pub account_id: AccountId,
    /// The number of its last event.
    pub account_seq: i64,
    /// Whether it may trade.
    pub status: StatusView,
    /// What froze it, if anything did.
    pub frozen: Option<BrokenInvariant>,
    /// Its cash.
    pub cash: CashView,
    /// Its positions by symbol, without those that hold nothing.
    pub positions: Vec<PositionView>,
    /// Its open orders and those whose key is remembered, the oldest first.
    pub orders: Vec<OrderView>,
    /// Its deposits and withdrawals, the oldest first.
    pub payments: Vec<PaymentView>,
}

impl AccountMachine {
    /// Every account, by id.
    pub fn accounts(&self) -> impl Iterator<Item = AccountSummary> {
        self.accounts.values().map(summary)
    }

    /// One account, if it exists.
    pub fn account(&self, account_id: AccountId) -> Option<AccountSummary> {
        self.accounts.get(&account_id).map(summary)
    }

    /// The first executions of an order, at most 100; none once the order is forgotten.
    pub fn executions(&self, account_id: AccountId, order_id: OrderId) -> Vec<Execution> {
        let order = self
            .accounts
            .get(&account_id)
            .and_then(|account| account.orders.get(&order_id));
        order.map_or_else(Vec::new, |order| order.executions.first().to_vec())
    }

    /// Payment results that cannot be: of an unknown payment, or against what was decided. An alarm.
    pub fn contradictions(&self) -> u64 {
        self.contradictions
    }

    /// Keys of orders and commands that are remembered, those in flight included.
    pub fn remembered_keys(&self) -> usize {
        self.memory.keys
    }
}

fn summary(account: &Account) -> AccountSummary {
    AccountSummary {
        account_id: account.id,
        account_seq: account.core.account_seq,
        status: account.status_view(),
        frozen: account.core.frozen,
        cash: account.core.cash.view(),
        positions: account
            .positions
            .iter()
            .map(|(symbol, position)| position.view(*symbol))
            .collect(),
        orders: account
            .orders
            .iter()
            .map(|order| order.into_order().view(account.id))
            .collect(),
        payments: account.payments.iter().map(|(id, payment)| payment.view(*id)).collect(),
    }
}
