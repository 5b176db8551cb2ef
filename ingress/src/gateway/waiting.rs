//! How many reads of one account wait for the projection at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use brokerx_schemas::AccountId;

/// Reads of one account that wait at once: each asks the database again and again, which others need too.
const WAITING_MAX: u32 = 64;

/// The reads that wait for the projection, by account.
#[derive(Debug, Default)]
pub struct WaitingReads(Mutex<HashMap<AccountId, u32>>);

/// A place among the reads of an account that wait; it is given back when this is dropped.
pub(super) struct Place<'a> {
    waiting: &'a WaitingReads,
    account_id: AccountId,
}

impl WaitingReads {
    /// A place; none when as many as may wait do.
    pub(super) fn enter(&self, account_id: AccountId) -> Option<Place<'_>> {
        let mut waiting = self.lock();
        let count = waiting.entry(account_id).or_default();
        if *count >= WAITING_MAX {
            return None;
        }
        *count += 1;
        Some(Place {
            waiting: self,
            account_id,
        })
    }

    /// The counts are intact even after a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock();
        if let Some(count) = waiting.get_mut(&self.account_id) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.account_id);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_so_many_reads_that_wait() {
        let waiting = WaitingReads::default();
        let mut places: Vec<_> = (0..WAITING_MAX).map(|_| waiting.enter(AccountId(7)).unwrap()).collect();
        assert!(waiting.enter(AccountId(7)).is_none());
        assert!(waiting.enter(AccountId(8)).is_some(), "nobody pays for another");
        places.pop();
        assert!(waiting.enter(AccountId(7)).is_some());
        drop(places);
        assert!(waiting.lock().is_empty(), "nothing is left behind");
    }
}
