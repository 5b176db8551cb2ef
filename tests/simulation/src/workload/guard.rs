//! What becomes of accounts and of the rules: suspension, freeze and thaw, correction, a new logic version.

use brokerx_schemas::{
    AccountCommand, AccountId, AccountState, AccountStatus, AdjustBalance, BookCommand, BookStatus, CommandDone,
    CommandId, ConfigChange, OrderId, ThawAccount,
};
use brokerx_topics::machine::{Identity, LOGIC_VERSION};
use brokerx_topics::partition::{account_key, partition_of};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use super::{PARTITIONS, Workload, any_account, any_symbol, genesis, send_account};
use crate::log::Logs;

/// A book partition that none of the runs has: it answers what nobody asked.
const ASTRAY: &str = "book-commands-77";

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

    fn freeze(&mut self, account_id: AccountId, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        *self.asked.frozen.entry(account_id).or_default() += 1;
        let partition = partition_of(&account_key(account_id), PARTITIONS);
        let seq = self.astray.entry(partition).or_default();
        *seq += 1;
        let identity = Identity {
            source: ASTRAY.to_owned(),
            seq: *seq,
        };
        let answer = CommandDone {
            account_id,
            command_id: CommandId([0xff; 16]),
            order_id: OrderId(1),
            symbol: any_symbol(random),
            status: BookStatus::Working,
            reason: None,
            leaves_quantity: 1,
        };
        logs.append(partition, Some(identity), AccountCommand::CommandDone(answer).into());
    }

    /// A log that was begun under an older logic version goes on under the newest, in every inbox.
    pub(super) fn raise_logic_version(&mut self, seed: u64, logs: &mut Logs) {
        if self.raised {
            return;
        }
        self.raised = true;
        let change = ConfigChange {
            version: 2,
            logic_version: LOGIC_VERSION,
            config: genesis(seed).config,
        };
        for partition in 0..PARTITIONS {
            logs.append(partition, None, AccountCommand::Config(change.clone()).into());
            logs.append(partition, None, BookCommand::Config(change.clone()).into());
        }
    }
}
