//! What becomes of accounts and of the rules: suspension, freeze and thaw, correction, a new logic version.

use brokerx_schemas::{
    AccountCommand, AccountState, AccountStatus, AdjustBalance, BookCommand, ConfigChange, Genesis, ThawAccount,
};
use brokerx_topics::machine::LOGIC_VERSION;
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use super::{PARTITIONS, Workload, any_account, any_symbol, genesis, send_account};
use crate::log::Logs;

impl Workload {
    /// Suspends an account or, more often, reinstates it.
    pub(super) fn suspend(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let account_id = any_account(random);
        let version = self.status_versions.entry(account_id).or_insert(1);
        *version += 1;
        let state = match random.random_ratio(1, 3) {
            true => AccountState::Suspended,
            false => AccountState::Active,
        };
        let change = AccountStatus {
            account_id,
            state,
            version: *version,
        };
        send_account(logs, account_id, AccountCommand::AccountStatus(change));
    }

    /// An answer to a command that was never sent freezes the account, rarely; then operators try to thaw it,
    /// until its orders have left the books.
    pub(super) fn freeze_or_thaw(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let frozen = self.asked.frozen.keys().copied().collect::<Vec<_>>();
        if frozen.is_empty() || random.random_ratio(1, 8) {
            return self.freeze(any_account(random), logs, random);
        }
        let account_id = frozen[random.random_range(0..frozen.len())];
        let meta = self.patient_meta(logs, random);
        let operator = "operator".to_owned();
        let command = match random.random_ratio(1, 4) {
            true => AccountCommand::AdjustBalance(AdjustBalance {
                meta,
                account_id,
                operator,
                idempotency_key: None,
                symbol: random.random::<bool>().then(|| any_symbol(random)),
                amount: random.random_range(1..=9),
                cost_cents: 0,
                note: "found when it was looked into".to_owned(),
            }),
            false => AccountCommand::ThawAccount(ThawAccount {
                meta,
                account_id,
                operator,
                idempotency_key: None,
                note: "looked into".to_owned(),
            }),
        };
        send_account(logs, account_id, command);
    }

    /// A log goes on under the logic version after its own, in every inbox. Returns whether there is a newer
    /// one still.
    pub(super) fn raise_logic_version(&mut self, seed: u64, logs: &mut Logs) -> bool {
        let Genesis {
            logic_version, config, ..
        } = genesis(seed);
        let present = *self.logic_version.get_or_insert(logic_version);
        if self.configurations > 0 && present == LOGIC_VERSION {
            return false;
        }
        let raised = LOGIC_VERSION.min(present + 1);
        self.logic_version = Some(raised);
        self.configurations += 1;
        let change = ConfigChange {
            version: 1 + self.configurations,
            logic_version: raised,
            config,
        };
        for partition in 0..PARTITIONS {
            logs.append(partition, None, AccountCommand::Config(change.clone()).into());
            logs.append(partition, None, BookCommand::Config(change.clone()).into());
        }
        raised < LOGIC_VERSION
    }
}
