//! A row of `accounts`, event by event.

use brokerx_database::row;
use brokerx_schemas::{AccountEvent, AccountEventKind, AccountState};

use super::rows::symbol;

row! {
    /// A row of `accounts`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Account {
        pub(super) account_seq: i64,
        pub(super) state: String,
        pub(super) status_version: i64,
        pub(super) kill_switch: bool,
        pub(super) frozen: bool,
        pub(super) balance_cents: i64,
        pub(super) reserved_cents: i64,
        pub(super) updated_us: i64,
    }
}

impl Account {
    /// An account before its first event.
    pub(super) fn new() -> Self {
        Self {
            account_seq: 0,
            state: symbol(&AccountState::Pending),
            status_version: 0,
            kill_switch: false,
            frozen: false,
            balance_cents: 0,
            reserved_cents: 0,
            updated_us: 0,
        }
    }

    /// Takes in the account's next event.
    pub(super) fn apply(&mut self, event: &AccountEvent) {
        self.account_seq = event.account_seq;
        self.updated_us = event.occurred_us;
        match event.kind {
            AccountEventKind::Frozen => self.frozen = true,
            AccountEventKind::Thawed => self.frozen = false,
            _ => {}
        }
        if let Some(status) = &event.status {
            self.state = symbol(&status.state);
            self.status_version = status.version;
            self.kill_switch = status.kill_switch;
        }
        if let Some(cash) = &event.cash {
            self.balance_cents = cash.balance_cents;
            self.reserved_cents = cash.reserved_cents;
        }
    }
}
