//! Who listens to which account, and the last event seen of each account.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brokerx_schemas::{AccountEvent, AccountId, Message};
use brokerx_topics::reader::{ReadMetrics, Record, Sink};
use brokerx_topics::service::Check;

use super::event::Happened;
use super::recent::Recent;
use crate::connection::{ConnectionId, Outbox, Push};

/// At least so many accounts are remembered: far more than are active while the projection is behind.
const RECENT_HALF: usize = 500_000;

/// Fans the events of accounts out to the connections that subscribed to them.
#[derive(Debug)]
pub struct Accounts {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    listeners: HashMap<AccountId, BTreeMap<ConnectionId, Outbox>>,
    recent: Recent,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                listeners: HashMap::new(),
                recent: Recent::new(RECENT_HALF),
            }),
        }
    }
}

impl Accounts {
    /// Sends the account's events to a connection from now on. Returns the number of the last event before
    /// them, if this process saw any: every event is either up to that number or is sent.
    pub fn subscribe(&self, account_id: AccountId, outbox: Outbox) -> Option<i64> {
        let mut state = self.lock();
        state
            .listeners
            .entry(account_id)
            .or_default()
            .insert(outbox.id(), outbox);
        state.recent.last(account_id)
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, account_id: AccountId, connection: ConnectionId) {
        let mut state = self.lock();
        if let Some(listeners) = state.listeners.get_mut(&account_id) {
            listeners.remove(&connection);
            if listeners.is_empty() {
                state.listeners.remove(&account_id);
            }
        }
    }

    /// The number of the last event of an account that this process saw, if any.
    pub fn last(&self, account_id: AccountId) -> Option<i64> {
        self.lock().recent.last(account_id)
    }

    fn publish(&self, happened: Happened) {
        let account_id = happened.event.account_id;
        let mut state = self.lock();
        state.recent.saw(account_id, happened.event.account_seq);
        let Some(listeners) = state.listeners.get(&account_id) else {
            return;
        };
        let happened = Arc::new(happened);
        for outbox in listeners.values() {
            outbox.send(Push::Account(Arc::clone(&happened)));
        }
    }

    /// The values are intact even after a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads `account-events` into [`Accounts`].
pub struct AccountFeed {
    accounts: Arc<Accounts>,
    /// Partitions that were not read to their end yet.
    behind: BTreeSet<i32>,
    check: Check,
    metrics: ReadMetrics,
}

impl AccountFeed {
    /// Feeds `accounts`; sets `check` once every partition was read to its end.
    pub fn new(accounts: Arc<Accounts>, check: Check, metrics: ReadMetrics) -> Self {
        Self {
            accounts,
            behind: BTreeSet::new(),
            check,
            metrics,
        }
    }
}

impl Sink<AccountEvent> for AccountFeed {
    fn started(&mut self, partitions: &[i32]) {
        self.behind = partitions.iter().copied().collect();
    }

    fn record(&mut self, record: Record<AccountEvent>) {
        self.metrics.lag(AccountEvent::TOPIC, record.message.occurred_us);
        self.accounts.publish(Happened {
            event: record.message,
            correlation_id: record.trace.correlation_id,
        });
    }

    fn caught_up(&mut self, partition: i32) {
        if self.behind.remove(&partition) && self.behind.is_empty() {
            self.check.set(true, "all partitions were read to their ends");
        }
    }
}
