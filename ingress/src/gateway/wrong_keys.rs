//! How many API keys of one address may be wrong.
//!
//! Each key is looked up in the database, so a flood of invented ones would take the database from everybody. A key
//! that was right on this instance before is always looked up: whoever floods from an operator's address does not
//! keep the operator out.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::Response;

use crate::http::RateLimit;

/// Wrong keys of one address: a second in the long run, and at once.
const RATE: (u32, u32) = (10, 100);
/// Keys that are remembered as right, some 60 bytes each.
const RIGHT_MAX: usize = 10_000;

/// Counts wrong keys.
#[derive(Debug)]
pub struct WrongKeys<K> {
    limit: RateLimit,
    right: Mutex<HashSet<K>>,
}

impl<K: Hash + Eq> Default for WrongKeys<K> {
    fn default() -> Self {
        Self {
            limit: RateLimit::new(RATE.0, RATE.1),
            right: Mutex::default(),
        }
    }
}

impl<K: Hash + Eq> WrongKeys<K> {
    /// Whether a key is to be looked up.
    ///
    /// # Errors
    /// When too many of the address were wrong: the time until it is worth a try.
    pub(super) fn admit(&self, address: impl Hash, key: &K) -> Result<(), Duration> {
        if self.lock().contains(key) {
            return Ok(());
        }
        self.limit.look(address)
    }

    /// A key was looked up. As many as are on their way at once pass the limit: no more than there are connections.
    pub(super) fn learn(&self, address: impl Hash, key: K, is_right: bool) {
        let mut right = self.lock();
        if !is_right {
            right.remove(&key);
            drop(right);
            let _ = self.limit.take(address);
            return;
        }
        if right.len() >= RIGHT_MAX && !right.contains(&key) {
            right.clear();
        }
        right.insert(key);
    }

    /// 429.
    pub(super) fn refuse(&self, wait: Duration) -> Response {
        self.limit.refuse(wait)
    }

    /// The set is intact even after a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, HashSet<K>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_flood_of_wrong_keys_ends_and_keeps_out_nobody_whose_key_was_right() {
        let keys = WrongKeys::default();
        keys.learn("office", "right", true);
        let begun = Instant::now();
        let mut looked_up = 0;
        for _ in 0..1_000 {
            if keys.admit("office", &"wrong").is_ok() {
                looked_up += 1;
                keys.learn("office", "wrong", false);
            }
        }
        let in_the_long_run = begun.elapsed().as_secs() as u32 * RATE.0 + RATE.0;
        assert!((RATE.1..=RATE.1 + in_the_long_run).contains(&looked_up), "{looked_up}");
        assert!(keys.admit("office", &"right").is_ok());
        assert!(keys.admit("elsewhere", &"wrong").is_ok(), "nobody pays for another");
        keys.learn("office", "right", false);
        while keys.admit("office", &"wrong").is_ok() {
            keys.learn("office", "wrong", false);
        }
        assert!(keys.admit("office", &"right").is_err(), "it was taken back");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let keys = WrongKeys::default();
        for number in 0..=RIGHT_MAX {
            keys.learn("office", number, true);
        }
        assert!(keys.lock().len() <= RIGHT_MAX);
        assert!(keys.lock().contains(&RIGHT_MAX));
    }
}
