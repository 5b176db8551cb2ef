//! How many commands of one account are taken in a day, beside the rate per second: each is kept in a log for
//! ever, so a client that sends as fast as it may, all day, would fill disks that the others share.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use brokerx_schemas::AccountId;
use brokerx_topics::service::clock::{day_of, until_midnight};

/// Accounts that are counted, some 40 bytes each; those beyond are not: nobody pays for what others do.
const ACCOUNTS_MAX: usize = 1_000_000;

/// Counts the commands of each account on one UTC day, on this instance.
#[derive(Debug)]
pub struct DayQuota {
    most: u32,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    day: i64,
    commands: HashMap<AccountId, u32>,
}

impl DayQuota {
    /// At most `most` commands of one account on one day.
    pub fn new(most: u32) -> Self {
        Self {
            most,
            counted: Mutex::default(),
        }
    }

    /// Counts one command at a time, microseconds since the epoch.
    ///
    /// # Errors
    /// How long the day still lasts, when the account has had its commands.
    pub fn take(&self, account_id: AccountId, now_us: i64) -> Result<(), Duration> {
        // The counts are intact even after a thread panicked while it held the lock.
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let day = day_of(now_us);
        if counted.day != day {
            *counted = Counted {
                day,
                commands: HashMap::new(),
            };
        }
        let is_full = counted.commands.len() >= ACCOUNTS_MAX;
        if is_full && !counted.commands.contains_key(&account_id) {
            return Ok(());
        }
        let commands = counted.commands.entry(account_id).or_default();
        if *commands >= self.most {
            return Err(until_midnight(now_us));
        }
        *commands += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_has_its_commands_anew_each_day() {
        let quota = DayQuota::new(2);
        let (one, other) = (AccountId(1), AccountId(2));
        let hour_us = 3_600 * 1_000_000;
        for _ in 0..2 {
            assert_eq!(quota.take(one, 23 * hour_us), Ok(()));
        }
        assert_eq!(quota.take(one, 23 * hour_us), Err(Duration::from_secs(3_600)));
        assert_eq!(quota.take(other, 23 * hour_us), Ok(()), "nobody pays for another");
        assert_eq!(quota.take(one, 24 * hour_us), Ok(()));
    }
}
