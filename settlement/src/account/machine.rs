//! The state of the account machine, and what a change of one account brings with it.

use std::collections::{BTreeMap, BTreeSet};

use brokerx_schemas::{AccountId, Config, Reason};
use brokerx_topics::machine::{Context, Outputs, Setup};

use super::asks::Asks;
use super::cancel::{self, Sweep};
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
    /// When the books are asked again for the orders of which account, from logic version 3 on. Follows from
    /// the accounts.
    pub(super) to_ask: BTreeSet<(i64, AccountId)>,
    /// An account that was just frozen: its orders leave the books before the next record.
    pub(super) to_sweep: Option<(AccountId, Sweep)>,
    /// What the record that answered `More` has left to do.
    pub(super) work: Option<Work>,
}

/// Work that is done in steps.
#[derive(Debug)]
pub(super) enum Work {
    Sweep(AccountId, Sweep),
    /// A tick: forget keys that ended in or before a second, then ask the books again for the orders of
    /// those who are due in the second of the tick.
    Tick {
        forget_until: i64,
        second: i64,
    },
    /// The books are asked again for the orders of an account, then for those of the others who are due in
    /// the second of the tick.
    Ask {
        asked: Option<(AccountId, Sweep)>,
        second: i64,
    },
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
            to_ask: BTreeSet::new(),
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
        let before = Share::of(account);
        let mut desk = Desk::new(context, &self.rules, &mut self.memory, outputs, account);
        let result = act(account, &mut desk);
        if let Some(broken) = account
            .broken_invariant(desk.touched)
            .filter(|_| account.core.frozen.is_none())
        {
            desk.freeze(account, broken);
        }
        let froze = desk.froze;
        if froze && self.rules.since(3) {
            account.core.asks = Asks::first(context.now_ms.div_euclid(1_000));
        }
        let after = Share::of(account);
        self.replace_share(account_id, &before, &after);
        if froze && self.rules.since(2) {
            self.to_sweep = Some((account_id, Sweep::because(Reason::Frozen, context)));
        }
        Some(result)
    }

    /// Another configuration or logic version. With version 3 accounts that may not trade are asked for
    /// which an older version did not sweep.
    pub(super) fn set_rules(&mut self, config: &Config, logic_version: i32) {
        let is_new = !self.rules.since(3) && logic_version >= 3;
        self.rules.config = config.clone();
        self.rules.logic_version = logic_version;
        if is_new {
            let due = |(id, account): (&AccountId, &Account)| account.asks_at().map(|second| (second, *id));
            self.to_ask = self.accounts.iter().filter_map(due).collect();
        }
    }

    /// Asks the books again for the next orders: of the account that was begun, or of the first that is due
    /// in or before a second. Returns what is left of that account.
    pub(super) fn ask_again(
        &mut self,
        asked: Option<(AccountId, Sweep)>,
        second: i64,
        context: &Context,
        outputs: &mut Outputs,
    ) -> Option<(AccountId, Sweep)> {
        let (account_id, sweep) = match asked {
            Some((account_id, sweep)) => (account_id, Some(sweep)),
            None => {
                let due = self.to_ask.first().filter(|(due, _)| *due <= second);
                (due?.1, None)
            }
        };
        let left = self.on_account(account_id, context, outputs, |account, desk| {
            let sweep = match sweep {
                Some(sweep) => sweep,
                None => {
                    account.core.asks = account.core.asks.and_again(second);
                    Sweep::again(account, desk.context)?
                }
            };
            cancel::sweep(account, desk, sweep)
        });
        left.flatten().map(|sweep| (account_id, sweep))
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
            let before = Share::of(account);
            act(account, &mut self.memory);
            let after = Share::of(account);
            self.replace_share(account_id, &before, &after);
        }
    }

    /// Brings what follows from all accounts up to date with the change of one.
    fn replace_share(&mut self, account_id: AccountId, before: &Share, after: &Share) {
        if self.rules.since(3) && before.asks_at != after.asks_at {
            if let Some(second) = before.asks_at {
                self.to_ask.remove(&(second, account_id));
            }
            if let Some(second) = after.asks_at {
                self.to_ask.insert((second, account_id));
            }
        }
        self.memory.keys = self.memory.keys - before.keys + after.keys;
        self.accounts_hash = self.accounts_hash.wrapping_sub(before.hash).wrapping_add(after.hash);
    }
}

/// What one account adds to what follows from all of them.
struct Share {
    hash: u64,
    keys: usize,
    /// When the books are asked again for its orders.
    asks_at: Option<i64>,
}

impl Share {
    fn of(account: &Account) -> Self {
        Self {
            hash: account.hash(),
            keys: account.remembered_keys(),
            asks_at: account.asks_at(),
        }
    }
}
