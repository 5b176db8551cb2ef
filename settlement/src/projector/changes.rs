//! What a batch of events changes: one row for each thing, as its last event leaves it, and a row
//! for each thing that is only ever added.

use std::collections::BTreeMap;

use brokerx_schemas::{AccountEvent, OrderView, Symbol};
use sqlx::PgConnection;

use super::account::Account;
use super::rows::JsonText;
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
}

impl<'a> Changes<'a> {
    /// Applies the events in order to the accounts as they stand; those not named are new.
    ///
    /// # Errors
    /// When an event contradicts what is projected.
    pub(super) fn gather(
        accounts: BTreeMap<i64, Account>,
        events: &'a [(AccountEvent, JsonText)],
    ) -> Result<Self, Contradiction> {
        let mut changes = Self {
            accounts,
            ..Self::default()
        };
        for (event, body) in events {
            changes.apply(event, body)?;
        }
        Ok(changes)
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
        account.apply(event);
        let frozen = account.frozen;
        for view in &event.positions {
            let position = Position {
                account_id,
                account_seq,
                frozen,
                view: *view,
            };
            self.positions.insert((account_id, view.symbol), position);
        }
        if let Some(execution) = &event.execution {
            let order = event.order.as_ref().ok_or(Contradiction::ExecutionWithoutOrder {
                account_id,
                account_seq,
            })?;
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

    /// Writes everything; `wrote` is told each table with its rows.
    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        mut wrote: impl FnMut(&'static str, u64),
    ) -> Result<(), sqlx::Error> {
        let mut accounts = Accounts::default();
        self.accounts
            .iter()
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
        Ok(())
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

    fn gather(events: &[(AccountEvent, JsonText)]) -> Result<Changes<'_>, Contradiction> {
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
        let changes = gather(&events).unwrap();
        assert_eq!(changes.duplicates(), 2);
        assert_eq!(changes.accounts[&1].balance_cents, 600);
        assert_eq!(changes.accounts[&1].updated_us, 60);
        assert_eq!(changes.accounts[&2].account_seq, 1);
        assert_eq!(changes.positions.len(), 2);
    }

    #[test]
    fn missing_events_are_refused() {
        let expected = Contradiction::MissingEvents {
            account_id: 1,
            expected: 5,
            got: 6,
        };
        assert_eq!(gather(&bodies(&[event(1, 6)])).unwrap_err(), expected);
        assert!(gather(&bodies(&[event(2, 2)])).is_err());
    }

    #[test]
    fn a_frozen_account_stays_frozen() {
        let mut frozen = event(1, 5);
        frozen.kind = AccountEventKind::Frozen;
        let events = bodies(&[frozen, event(1, 6)]);
        let changes = gather(&events).unwrap();
        assert!(changes.accounts[&1].frozen);
        assert!(changes.positions.values().all(|position| position.frozen));
    }
}
