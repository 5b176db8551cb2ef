//! How many commands of one account are taken in a day, beside the rate per second: each is kept in a log for
//! ever, so a client that sends as fast as it may, all day, would fill disks that the others share.
//!
//! Cancels have a share of their own, so that whoever has sent all the orders of a day can still end them. It is
//! [`CANCELS_PER_COMMAND`] times as large: an order, and what is left of it after a replace, can each be
//! cancelled, also by a client that asks again because an answer was lost. Nobody is locked in beyond that
//! either: one cancel in each [`CANCEL_EVERY`] is always taken, and one is enough to cancel all.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokerx_schemas::AccountId;
use brokerx_topics::service::clock::{day_of, until_midnight};

/// Accounts that are counted, some 60 bytes each; those beyond are not: nobody pays for what others do.
const ACCOUNTS_MAX: usize = 1_000_000;
/// Cancels that an account has in a day for each of its commands.
const CANCELS_PER_COMMAND: u32 = 2;
/// How often an account that has had its cancels of the day may send one more.
const CANCEL_EVERY: Duration = Duration::from_secs(1);

/// What a command is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// An order, a change of one, or a payment.
    Commands,
    /// The end of one order, or of all.
    Cancels,
}

/// Counts the commands of each account on one UTC day, on this instance.
#[derive(Debug)]
pub struct DayQuota {
    commands_max: u32,
    cancels_max: u32,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    day: i64,
    accounts: HashMap<AccountId, Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    commands: u32,
    cancels: u32,
    /// When the last cancel beyond the share was taken, microseconds since the epoch.
    last_beyond_us: Option<i64>,
}

impl DayQuota {
    /// At most `commands_max` commands of one account on one day, and its cancels.
    pub fn new(commands_max: u32) -> Self {
        Self {
            commands_max,
            cancels_max: commands_max.saturating_mul(CANCELS_PER_COMMAND),
            counted: Mutex::default(),
        }
    }

    /// Counts one command at a time, microseconds since the epoch.
    ///
    /// # Errors
    /// How long until one more is taken, when the account has had its share of the day.
    pub fn take(&self, account_id: AccountId, share: Share, now_us: i64) -> Result<(), Duration> {
        let mut counted = self.lock();
        let day = day_of(now_us);
        if counted.day != day {
            *counted = Counted {
                day,
                accounts: HashMap::new(),
            };
        }
        let is_full = counted.accounts.len() >= ACCOUNTS_MAX;
        if is_full && !counted.accounts.contains_key(&account_id) {
            return Ok(());
        }
        let counts = counted.accounts.entry(account_id).or_default();
        match share {
            Share::Commands if counts.commands >= self.commands_max => Err(until_midnight(now_us)),
            Share::Commands => {
                counts.commands += 1;
                Ok(())
            }
            Share::Cancels if counts.cancels >= self.cancels_max => counts.one_beyond(now_us),
            Share::Cancels => {
                counts.cancels += 1;
                Ok(())
            }
        }
    }

    /// Takes back the count of a command that was not sent.
    pub fn give_back(&self, account_id: AccountId, share: Share, now_us: i64) {
        let mut counted = self.lock();
        if counted.day != day_of(now_us) {
            return;
        }
        if let Some(counts) = counted.accounts.get_mut(&account_id) {
            let count = match share {
                Share::Commands => &mut counts.commands,
                Share::Cancels => &mut counts.cancels,
            };
            *count = count.saturating_sub(1);
        }
    }

    /// The counts are intact even after a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn one_beyond(&mut self, now_us: i64) -> Result<(), Duration> {
        let every_us = CANCEL_EVERY.as_micros() as i64;
        let since_us = self.last_beyond_us.map(|last_us| now_us.saturating_sub(last_us));
        match since_us {
            // A clock that was set back starts anew.
            Some(since_us) if (0..every_us).contains(&since_us) => {
                Err(Duration::from_micros((every_us - since_us).unsigned_abs()))
            }
            _ => {
                self.last_beyond_us = Some(now_us);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: i64 = 1_000_000;
    const HOUR_US: i64 = 3_600 * SECOND_US;
    const ONE: AccountId = AccountId(1);
    const OTHER: AccountId = AccountId(2);

    #[test]
    fn each_account_has_its_commands_anew_each_day() {
        let quota = DayQuota::new(2);
        let take = |account_id, hour| quota.take(account_id, Share::Commands, hour * HOUR_US);
        for _ in 0..2 {
            assert_eq!(take(ONE, 23), Ok(()));
        }
        assert_eq!(take(ONE, 23), Err(Duration::from_secs(3_600)));
        assert_eq!(take(OTHER, 23), Ok(()), "nobody pays for another");
        assert_eq!(take(ONE, 24), Ok(()));
    }

    #[test]
    fn who_has_sent_all_commands_can_still_cancel() {
        let quota = DayQuota::new(2);
        let commands = |now_us| quota.take(ONE, Share::Commands, now_us);
        let cancels = |now_us| quota.take(ONE, Share::Cancels, now_us);
        for _ in 0..2 {
            assert_eq!(commands(HOUR_US), Ok(()));
        }
        assert!(commands(HOUR_US).is_err());
        for _ in 0..4 {
            assert_eq!(cancels(HOUR_US), Ok(()), "two for each command");
        }
        // Beyond them one a second, so that nobody is left with orders that cannot be ended.
        assert_eq!(cancels(HOUR_US), Ok(()));
        assert_eq!(cancels(HOUR_US), Err(Duration::from_secs(1)));
        let half_later = HOUR_US + SECOND_US / 2;
        assert_eq!(cancels(half_later), Err(Duration::from_millis(500)));
        let taken = (0..100).filter(|tenth| cancels(HOUR_US + tenth * SECOND_US / 10).is_ok());
        assert_eq!(taken.count(), 9, "in the ten seconds after the first");
        assert_eq!(cancels(HOUR_US - SECOND_US), Ok(()), "the clock was set back");
        assert!(commands(HOUR_US).is_err(), "cancels give no room to commands");
    }

    #[test]
    fn what_was_not_sent_does_not_count() {
        for share in [Share::Commands, Share::Cancels] {
            let quota = DayQuota::new(1);
            let most = if share == Share::Commands { 1 } else { 2 };
            for _ in 0..100 {
                assert_eq!(quota.take(ONE, share, HOUR_US), Ok(()));
                quota.give_back(ONE, share, HOUR_US);
            }
            for _ in 0..most {
                assert_eq!(quota.take(ONE, share, HOUR_US), Ok(()));
            }
            quota.give_back(ONE, share, 24 * HOUR_US);
            quota.give_back(OTHER, share, HOUR_US);
            if share == Share::Commands {
                assert!(
                    quota.take(ONE, share, HOUR_US).is_err(),
                    "it was of another day or account"
                );
            }
            assert_eq!(quota.take(ONE, share, 24 * HOUR_US), Ok(()));
            for _ in 0..3 {
                quota.give_back(ONE, share, 24 * HOUR_US);
            }
            for _ in 0..most {
                assert_eq!(quota.take(ONE, share, 24 * HOUR_US), Ok(()), "not more than there was");
            }
        }
    }
}
