//! What a batch of events changes: one row for each thing, as its last event leaves it, and a row
//! for each thing that is only ever added.

use std::collections::{BTreeMap, BTreeSet};

use brokerx_schemas::{AccountEvent, OrderView, Symbol};
use sqlx::PgConnection;

use super::account::Account;
use super::rows::JsonText;
use super::set_aside::{self, SetAside};
use super::tables::{
    AccountEvents, Accounts, Executions, LedgerEntries, Orders, Payment, Payments, Position, Positions, Transfers,
};

/// An event that contradicts what is projected: the log or the projection is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Events of the account are missing.
    #[error("account {account_id}: event {got} came where {expected} should have")]
    MissingEvents {
        /// The account.
        account_id: i64,
        /// The next `account_seq`.
        expected: i64,
        /// The one that came.
        got: i64,
    },
    /// An execution without its order.
    #[error("account {account_id}: event {account_seq} holds an execution without its order")]
    ExecutionWithoutOrder {
        /// The account.
        account_id: i64,
        /// The event.
        account_seq: i64,
    },
}

/// The changes of account events.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    /// Accounts as they stand; loaded before the events are applied.
    accounts: BTreeMap<i64, Account>,
    positions: BTreeMap<(i64, Symbol), Position>,
    orders: BTreeMap<i64, (i64, &'a OrderView)>,
    payments: BTreeMap<i64, Payment<'a>>,
    executions: Executions,
    transfers: Transfers,
    events: AccountEvents<'a>,
    ledger: LedgerEntries,
    duplicates: u64,
    set_aside: Vec<SetAside>,
    /// Accounts whose last event that was no duplicate was applied.
    following: BTreeSet<i64>,
}

impl<'a> Changes<'a> {
    /// Applies the events in order to the accounts as they stand; those not named are new. An event that
    /// contradicts what is projected is set aside, whatever follows.
    pub(super) fn gather(
        accounts: BTreeMap<i64, Account>,
        events: impl IntoIterator<Item = &'a (AccountEvent, JsonText)>,
    ) -> Self {
        let mut changes = Self {
            accounts,
            ..Self::default()
        };
        for (event, body) in events {
            if let Err(contradiction) = changes.apply(event, body) {
                let account_id = event.account_id.0;
                let projected_seq = changes.projected_seq(account_id);
                let reason = contradiction.to_string();
                changes
                    .set_aside
                    .push(SetAside::new(event, body, projected_seq, reason));
                changes.following.remove(&account_id);
            }
        }
        changes
    }

    fn projected_seq(&self, account_id: i64) -> i64 {
        self.accounts.get(&account_id).map_or(0, |account| account.account_seq)
    }

    fn apply(&mut self, event: &'a AccountEvent, body: &'a JsonText) -> Result<(), Contradiction> {
        let account_id = event.account_id.0;
        let account_seq = event.account_seq;
        let account = self.accounts.entry(account_id).or_insert_with(Account::new);
        let expected = account.account_seq + 1;
        if account_seq < expected {
            self.duplicates += 1;
            return Ok(());
        }
        if account_seq > expected {
            return Err(Contradiction::MissingEvents {
                account_id,
                expected,
                got: account_seq,
            });
        }
        if event.execution.is_some() && event.order.is_none() {
            return Err(Contradiction::ExecutionWithoutOrder {
                account_id,
                account_seq,
            });
        }
        account.apply(event);
        let frozen = account.frozen;
        self.following.insert(account_id);
        for view in &event.positions {
            let position = Position {
                account_id,
                account_seq,
                frozen,
                view: *view,
            };
            self.positions.insert((account_id, view.symbol), position);
        }
        if let (Some(execution), Some(order)) = (&event.execution, &event.order) {
            self.executions.push((account_seq, order, execution));
        }
        if let Some(transfer) = &event.transfer {
            self.transfers.push((account_seq, transfer));
        }
        for (index, posting) in event.postings.iter().enumerate() {
            self.ledger.push((event, index as i32 + 1, posting));
        }
        self.events.push((event, body));
        if let Some(view) = &event.payment {
            let payment = Payment {
                account_id,
                account_seq,
                view,
            };
            self.payments.insert(payment.view.payment_id.0, payment);
        }
        if let Some(order) = &event.order {
            self.orders.insert(order.order_id.0, (account_seq, order));
        }
        Ok(())
    }

    /// Events that were projected before.
    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Events that were set aside.
    pub(super) fn set_aside(&self) -> &[SetAside] {
        &self.set_aside
    }

    /// Accounts of which an event was applied after any that was set aside: what is projected goes on.
    pub(super) fn following(&self) -> &BTreeSet<i64> {
        &self.following
    }

    /// The accounts as the events leave them.
    pub(super) fn into_accounts(self) -> BTreeMap<i64, Account> {
        self.accounts
    }

    /// Writes everything; `wrote` is told each table with its rows.
    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        mut wrote: impl FnMut(&'static str, u64),
    ) -> Result<(), sqlx::Error> {
        let mut accounts = Accounts::default();
        // One that is new and of which nothing was applied is none.
        self.accounts
            .iter()
            .filter(|(_, account)| account.account_seq > 0)
            .for_each(|(account_id, account)| accounts.push((*account_id, account)));
        let mut positions = Positions::default();
        self.positions.values().for_each(|position| positions.push(position));
        let mut orders = Orders::default();
        self.orders
            .values()
            .for_each(|(account_seq, order)| orders.push((*account_seq, order)));
        let mut payments = Payments::default();
        self.payments.values().for_each(|payment| payments.push(payment));

        wrote(Accounts::TABLE, accounts.write(connection).await?);
        wrote(Positions::TABLE, positions.write(connection).await?);
        wrote(Orders::TABLE, orders.write(connection).await?);
        wrote(Payments::TABLE, payments.write(connection).await?);
        wrote(Executions::TABLE, self.executions.write(connection).await?);
        wrote(Transfers::TABLE, self.transfers.write(connection).await?);
        wrote(AccountEvents::TABLE, self.events.write(connection).await?);
        wrote(LedgerEntries::TABLE, self.ledger.write(connection).await?);
        set_aside::write(connection, &self.set_aside).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use brokerx_schemas::{AccountEventKind, AccountId, CashView, PositionView};

    fn event(account_id: i64, account_seq: i64) -> AccountEvent {
        AccountEvent {
            account_id: AccountId(account_id),
            account_seq,
            kind: AccountEventKind::OrderWorking,
            logic_version: 1,
            command_id: None,
            occurred_us: account_seq * 10,
            order: None,
            execution: None,
            payment: None,
            transfer: None,
            status: None,
            limits: None,
            refusal: None,
            closed_day: None,
            cash: Some(CashView {
                balance_cents: account_seq * 100,
                reserved_cents: 0,
            }),
            positions: vec![PositionView {
                symbol: Symbol::new("AAPL").unwrap(),
                quantity: account_seq,
                reserved_quantity: 0,
                cost_cents: 0,
            }],
            postings: Vec::new(),
            intervention: None,
        }
    }

    fn bodies(events: &[AccountEvent]) -> Vec<(AccountEvent, JsonText)> {
        events
            .iter()
            .map(|event| (event.clone(), JsonText::of(event).unwrap()))
            .collect()
    }

    fn gather(events: &[(AccountEvent, JsonText)]) -> Changes<'_> {
        let accounts = BTreeMap::from([(
            1,
            Account {
                account_seq: 4,
                ..Account::new()
            },
        )]);
        Changes::gather(accounts, events)
    }

    #[test]
    fn the_last_event_stands_and_duplicates_change_nothing() {
        let events = bodies(&[event(1, 4), event(1, 5), event(2, 1), event(1, 5), event(1, 6)]);
        let changes = gather(&events);
        assert_eq!(changes.duplicates(), 2);
        assert_eq!(changes.accounts[&1].balance_cents, 600);
        assert_eq!(changes.accounts[&1].updated_us, 60);
        assert_eq!(changes.accounts[&2].account_seq, 1);
        assert_eq!(changes.positions.len(), 2);
    }

    #[test]
    fn an_account_with_a_contradiction_is_set_aside_and_the_others_go_on() {
        let mut impossible = event(3, 2);
        impossible.execution = Some(brokerx_schemas::Execution {
            trade_id: brokerx_schemas::TradeId(1),
            price_cents: 1,
            quantity: 1,
            fee_cents: 0,
            liquidity: brokerx_schemas::Liquidity::Maker,
            executed_us: 0,
        });
        // 1: a stray record, behind which it goes on. 2: begins in the middle. 3: an event that cannot be.
        let events = bodies(&[
            event(1, 9),
            event(1, 5),
            event(2, 2),
            event(3, 1),
            impossible,
            event(3, 3),
            event(4, 1),
        ]);
        let changes = gather(&events);
        let aside: Vec<_> = changes
            .set_aside()
            .iter()
            .map(|event| (event.account_id, event.account_seq, event.projected_seq))
            .collect();
        assert_eq!(aside, [(1, 9, 4), (2, 2, 0), (3, 2, 1), (3, 3, 1)]);
        let reason = &changes.set_aside()[0].reason;
        assert_eq!(reason, "account 1: event 9 came where 5 should have");
        assert_eq!(changes.following(), &BTreeSet::from([1, 4]));
        let seqs = [1, 2, 3, 4].map(|account| changes.projected_seq(account));
        assert_eq!(seqs, [5, 0, 1, 1]);
    }

    #[test]
    fn duplicates_alone_do_not_follow() {
        let following = |events: &[AccountEvent]| gather(&bodies(events)).following().clone();
        assert_eq!(following(&[event(1, 3), event(1, 4)]), BTreeSet::new());
        assert_eq!(
            following(&[event(1, 9), event(1, 4)]),
            BTreeSet::new(),
            "set aside, then a duplicate"
        );
        assert_eq!(following(&[event(1, 9), event(1, 5), event(1, 4)]), BTreeSet::from([1]));
        assert_eq!(following(&[event(1, 5), event(1, 9)]), BTreeSet::new());
    }

    #[test]
    fn a_frozen_account_stays_frozen() {
        let mut frozen = event(1, 5);
        frozen.kind = AccountEventKind::Frozen;
        let events = bodies(&[frozen, event(1, 6)]);
        let changes = gather(&events);
        assert!(changes.accounts[&1].frozen);
        assert!(changes.positions.values().all(|position| position.frozen));
    }
}
