//! The state of the account machine, and what a change of one account brings with it.

use std::collections::BTreeMap;

use brokerx_schemas::{AccountId, Reason};
use brokerx_topics::machine::{Context, Outputs, Setup};

use super::cancel::Sweep;
use super::days::Days;
use super::desk::Desk;
use super::memory::Memory;
use super::rules::Rules;
use super::state::Account;

/// The accounts of one partition of `account-commands`. See the [module](super).
#[derive(Debug)]
pub struct AccountMachine {
    pub(super) rules: Rules,
    pub(super) accounts: BTreeMap<AccountId, Account>,
    /// The wrapping sum of the accounts' hashes.
    pub(super) accounts_hash: u64,
    pub(super) memory: Memory,
    pub(super) days: Days,
    pub(super) contradictions: u64,
    /// An account that was just frozen: its orders leave the books before the next record.
    pub(super) to_sweep: Option<(AccountId, Sweep)>,
    /// What the record that answered `More` has left to do.
    pub(super) work: Option<Work>,
}

/// Work that is done in steps.
#[derive(Debug)]
pub(super) enum Work {
    Sweep(AccountId, Sweep),
    /// Forget keys that ended in or before a second.
    Forget(i64),
    CloseDay {
        day: i32,
        after: Option<AccountId>,
    },
}

impl AccountMachine {
    /// A machine without an account.
    pub(super) fn empty(setup: &Setup) -> Self {
        Self {
            rules: Rules::new(setup),
            accounts: BTreeMap::new(),
            accounts_hash: 0,
            memory: Memory::default(),
            days: Days::default(),
            contradictions: 0,
            to_sweep: None,
            work: None,
        }
    }

    /// Does something to an account, then checks it and brings the sums up to date. None when there
    /// is no such account.
    pub(super) fn on_account<R>(
        &mut self,
        account_id: AccountId,
        context: &Context,
        outputs: &mut Outputs,
        act: impl FnOnce(&mut Account, &mut Desk<'_>) -> R,
    ) -> Option<R> {
        let account = self.accounts.get_mut(&account_id)?;
        let before = account.hash();
        let keys = account.remembered_keys();
        let mut desk = Desk::new(context, &self.rules, &mut self.memory, outputs, account);
        let result = act(account, &mut desk);
        if let Some(broken) = account
            .broken_invariant(desk.touched)
            .filter(|_| account.core.frozen.is_none())
        {
            desk.freeze(account, broken);
        }
        let froze = desk.froze;
        self.memory.keys = self.memory.keys - keys + account.remembered_keys();
        self.accounts_hash = self.accounts_hash.wrapping_sub(before).wrapping_add(account.hash());
        if froze && self.rules.since(2) {
            self.to_sweep = Some((account_id, Sweep::because(Reason::Frozen, context)));
        }
        Some(result)
    }

    /// Makes an account that does not exist yet.
    pub(super) fn open_account(&mut self, account_id: AccountId) {
        if !self.accounts.contains_key(&account_id) {
            let account = Account::new(account_id);
            self.accounts_hash = self.accounts_hash.wrapping_add(account.hash());
            self.accounts.insert(account_id, account);
        }
    }

    /// Changes an account without sending anything: while it is restored, or when keys are
    /// forgotten.
    pub(super) fn restore_account(&mut self, account_id: AccountId, act: impl FnOnce(&mut Account, &mut Memory)) {
        self.open_account(account_id);
        if let Some(account) = self.accounts.get_mut(&account_id) {
            let before = account.hash();
            let keys = account.remembered_keys();
            act(account, &mut self.memory);
            self.memory.keys = self.memory.keys - keys + account.remembered_keys();
            self.accounts_hash = self.accounts_hash.wrapping_sub(before).wrapping_add(account.hash());
        }
    }
}
