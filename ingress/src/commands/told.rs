//! What this instance told of each account, so that a client reads its own writes without a token.
//!
//! Two bounded tables. The last number of each account that an outcome carried: a read of the account waits
//! until the projection has come so far. And the orders whose request was answered before there was an
//! outcome: until it comes, a question about such an order is answered with "not decided yet", never with an
//! older order of the same id, however long the worker is away that will decide it: for as long as the id of an order
//! is remembered. When a table is full, an old entry is forgotten: of the numbers the oldest, of the orders
//! the oldest of the account that has most, so that no account's orders are forgotten for those of another that sends
//! more. Clients of other instances have tokens, and the place that a late answer names.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brokerx_schemas::{AccountId, CommandId, Refusal, Reply};
use brokerx_topics::service::clock::now_us;

use super::bounded::Bounded;
use super::shared::Shared;

/// Entries of each table, some 200 bytes each.
const ENTRIES_MAX: usize = 100_000;

/// What is known of an order that was answered without an outcome.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing since it was asked for at this time, microseconds since the epoch.
    AwaitedSince(i64),
    /// It was refused, and nothing is remembered of it anywhere else.
    Refused(Refusal),
}

/// The two tables.
#[derive(Debug)]
pub struct Told {
    tables: Mutex<Tables>,
    undecided_for: Duration,
}

#[derive(Debug)]
struct Tables {
    seqs: Bounded<AccountId, i64>,
    late: Shared<AccountId, String, Late>,
    by_command: HashMap<CommandId, (AccountId, String)>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            seqs: Bounded::new(ENTRIES_MAX),
            late: Shared::new(ENTRIES_MAX),
            by_command: HashMap::new(),
        }
    }
}

#[derive(Debug)]
struct Late {
    command_id: CommandId,
    since: Instant,
    decision: Decision,
}

impl Told {
    /// Empty tables. It is known for so long of an order that its request was answered without an outcome.
    pub fn new(undecided_for: Duration) -> Self {
        Self {
            tables: Mutex::default(),
            undecided_for,
        }
    }

    /// An outcome was told: of an account, and of the order with an id, if it is one of an order.
    pub fn outcome(&self, account_id: AccountId, client_order_id: Option<&String>, reply: &Reply) {
        let mut tables = self.lock();
        if let Some(account_seq) = reply.account_seq {
            tables.tell(account_id, account_seq);
        }
        // Whatever was asked for under the id before, and had no outcome, stands before it in the log.
        if reply.order.is_some()
            && let Some(client_order_id) = client_order_id
            && let Some(late) = tables.late.remove(account_id, client_order_id)
        {
            tables.by_command.remove(&late.command_id);
        }
    }

    /// The last number that was told of an account.
    pub fn last(&self, account_id: AccountId) -> Option<i64> {
        self.lock().seqs.get(&account_id).copied()
    }

    /// A reader found the projection at a number: what was told up to there need not be waited for again.
    pub fn reached(&self, account_id: AccountId, account_seq: i64) {
        let mut tables = self.lock();
        if tables.seqs.get(&account_id).is_some_and(|told| *told <= account_seq) {
            tables.seqs.remove(&account_id);
        }
    }

    /// The request of an order was answered without an outcome.
    pub fn late(&self, account_id: AccountId, client_order_id: String, command_id: CommandId) {
        let mut tables = self.lock();
        let late = Late {
            command_id,
            since: Instant::now(),
            decision: Decision::AwaitedSince(now_us()),
        };
        let key = (account_id, client_order_id.clone());
        tables.by_command.insert(command_id, key);
        if let Some(forgotten) = tables.late.insert(account_id, client_order_id, late) {
            tables.by_command.remove(&forgotten.command_id);
        }
    }

    /// An outcome came for which no request waits any more.
    pub fn came_late(&self, reply: &Reply) {
        let mut tables = self.lock();
        let Some((account_id, client_order_id)) = tables.by_command.remove(&reply.command_id) else {
            return;
        };
        if let Some(account_seq) = reply.account_seq {
            tables.tell(account_id, account_seq);
        }
        let is_this = |late: &Late| late.command_id == reply.command_id;
        match (&reply.refusal, &reply.order) {
            // Only the reply tells: neither an event nor a row is made of it.
            (Some(refusal), None) => {
                if let Some(late) = tables
                    .late
                    .get_mut(account_id, &client_order_id)
                    .filter(|late| is_this(late))
                {
                    late.decision = Decision::Refused(refusal.clone());
                }
            }
            _ if tables.late.get(account_id, &client_order_id).is_some_and(is_this) => {
                tables.late.remove(account_id, &client_order_id);
            }
            _ => {}
        }
    }

    /// What is known of an order that was answered without an outcome; none when there was no such answer, or
    /// the order was decided and can be read.
    pub fn decision(&self, account_id: AccountId, client_order_id: &str) -> Option<Decision> {
        let tables = self.lock();
        let late = tables.late.get(account_id, &client_order_id.to_owned())?;
        (late.since.elapsed() < self.undecided_for).then(|| late.decision.clone())
    }

    /// The tables are intact even after a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn tell(&mut self, account_id: AccountId, account_seq: i64) {
        let last = self.seqs.get(&account_id).copied().unwrap_or(0);
        self.seqs.insert(account_id, account_seq.max(last));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_schemas::{Reason, ReplyKind};

    use super::*;

    const ACCOUNT: AccountId = AccountId(7);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn id(number: u64) -> CommandId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        CommandId(bytes)
    }

    fn reply(number: u64, account_seq: i64) -> Reply {
        Reply {
            account_seq: Some(account_seq),
            ..Reply::new(id(number), ReplyKind::Order)
        }
    }

    #[test]
    fn the_last_number_counts_until_it_was_read() {
        let told = Told::new(DAY);
        told.outcome(ACCOUNT, None, &reply(1, 5));
        told.outcome(ACCOUNT, None, &reply(2, 4));
        assert_eq!(told.last(ACCOUNT), Some(5));
        told.reached(ACCOUNT, 4);
        assert_eq!(told.last(ACCOUNT), Some(5));
        told.reached(ACCOUNT, 5);
        assert_eq!(told.last(ACCOUNT), None);
    }

    #[test]
    fn an_order_is_undecided_until_its_outcome_comes() {
        let told = Told::new(DAY);
        told.late(ACCOUNT, "a".to_owned(), id(1));
        let is_awaited = |id: &str| matches!(told.decision(ACCOUNT, id), Some(Decision::AwaitedSince(_)));
        assert!(is_awaited("a"));
        assert_eq!(told.decision(ACCOUNT, "b"), None);
        assert_eq!(told.decision(AccountId(8), "a"), None);
        // A repeat is late as well: only its own outcome counts.
        told.late(ACCOUNT, "a".to_owned(), id(2));
        told.came_late(&reply(1, 3));
        assert!(is_awaited("a"));
        let refusal = Refusal {
            reason: Reason::TooManyRequests,
            current_version: None,
        };
        told.came_late(&Reply {
            refusal: Some(refusal.clone()),
            ..reply(2, 4)
        });
        assert_eq!(told.decision(ACCOUNT, "a"), Some(Decision::Refused(refusal)));
        assert_eq!(told.last(ACCOUNT), Some(4), "what came late was told, too");
        told.late(ACCOUNT, "b".to_owned(), id(3));
        told.came_late(&reply(3, 5));
        assert_eq!(told.decision(ACCOUNT, "b"), None, "it can be read");
    }

    #[test]
    fn an_order_is_undecided_for_as_long_as_its_id_is_remembered() {
        let remembered = Duration::from_secs(20 * 60);
        let after = |minutes: u64| {
            let told = Told::new(remembered);
            told.late(ACCOUNT, "a".to_owned(), id(1));
            let passed = Duration::from_secs(minutes * 60);
            told.lock().late.get_mut(ACCOUNT, &"a".to_owned()).unwrap().since -= passed;
            told.decision(ACCOUNT, "a")
        };
        for minutes in [0, 11, 19] {
            assert!(matches!(after(minutes), Some(Decision::AwaitedSince(_))), "{minutes}");
        }
        assert_eq!(after(20), None);
    }

    #[test]
    fn a_flood_of_one_account_forgets_no_order_of_another() {
        let told = Told::new(DAY);
        told.late(AccountId(8), "mine".to_owned(), id(0));
        for number in 1..ENTRIES_MAX as u64 + 10 {
            told.late(ACCOUNT, number.to_string(), id(number));
        }
        assert!(matches!(
            told.decision(AccountId(8), "mine"),
            Some(Decision::AwaitedSince(_))
        ));
        assert_eq!(told.decision(ACCOUNT, "1"), None, "its own are");
        told.came_late(&reply(0, 3));
        assert_eq!(
            (told.decision(AccountId(8), "mine"), told.last(AccountId(8))),
            (None, Some(3))
        );
    }

    #[test]
    fn the_tables_are_bounded() {
        let told = Told::new(DAY);
        for number in 0..ENTRIES_MAX as u64 + 10 {
            told.outcome(AccountId(number as i64), None, &reply(number, 1));
            told.late(ACCOUNT, number.to_string(), id(number));
        }
        let tables = told.lock();
        assert_eq!(tables.seqs.len(), ENTRIES_MAX);
        assert_eq!((tables.late.len(), tables.by_command.len()), (ENTRIES_MAX, ENTRIES_MAX));
        assert!(tables.seqs.get(&AccountId(9)).is_none());
    }
}
