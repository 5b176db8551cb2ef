//! The last event seen of each account, in bounded memory.

use std::collections::HashMap;

use brokerx_schemas::AccountId;

/// Remembers the accounts that were active last: at least `half` of them, at most twice as many.
#[derive(Debug)]
pub(super) struct Recent {
    half: usize,
    young: HashMap<AccountId, i64>,
    old: HashMap<AccountId, i64>,
}

impl Recent {
    pub(super) fn new(half: usize) -> Self {
        Self {
            half,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// The highest number seen of an account; none when it was never seen, or long ago.
    pub(super) fn last(&self, account_id: AccountId) -> Option<i64> {
        self.young
            .get(&account_id)
            .or_else(|| self.old.get(&account_id))
            .copied()
    }

    pub(super) fn saw(&mut self, account_id: AccountId, account_seq: i64) {
        let known = self.old.get(&account_id).copied().unwrap_or(0);
        let last = self.young.entry(account_id).or_insert(known);
        *last = account_seq.max(*last);
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounts_that_were_active_last_are_remembered() {
        let mut recent = Recent::new(10);
        for account in 0..1_000 {
            recent.saw(AccountId(account), account + 1);
            assert!(recent.young.len() + recent.old.len() <= 20);
        }
        for account in 991..1_000 {
            assert_eq!(recent.last(AccountId(account)), Some(account + 1));
        }
        assert_eq!(recent.last(AccountId(0)), None);
        recent.saw(AccountId(999), 5);
        assert_eq!(recent.last(AccountId(999)), Some(1_000), "a repeat does not go back");
    }
}
