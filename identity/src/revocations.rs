//! Tokens and clients that are not accepted any more, kept in memory so that a check needs no database.
//!
//! PostgreSQL is asked every second for what is new; what this instance revokes counts at once. Before it
//! answered for the first time nothing is known of any token, so none may be accepted. When the database
//! goes away later, the last known ones stay in force.
//!
//! Tokens are only ever added, so of them those are read that were revoked since a little before the last
//! time ([`OVERLAP`]); all of them at the start, every [`WHOLE`], which forgets those that have expired, and
//! when the database's clock was set back. What is read is compared and merged so that checks, of which there
//! is one for each request, are never held up for longer than it takes to add what is new.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use brokerx_topics::service::{Check, Shutdown};
use sqlx::PgPool;
use tokio::sync::watch;

const REFRESH: Duration = Duration::from_secs(1);
/// How often all tokens are read.
const WHOLE: Duration = Duration::from_secs(5 * 60);
/// A row has the time at which its transaction began, and is seen once that has ended: far sooner than this.
const OVERLAP: Duration = Duration::from_secs(60);

/// The tokens and clients that are not accepted.
#[derive(Debug, Default)]
pub struct Revocations {
    sets: RwLock<Sets>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Sets {
    tokens: HashSet<String>,
    clients: HashSet<String>,
    /// Whether they were ever read.
    known: bool,
    changes: Changes,
}

/// Counts the changes made by this instance. A read that began before the last of them does not know of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Changes {
    tokens: u64,
    clients: u64,
}

/// What was read.
#[derive(Debug, Default)]
struct Read {
    tokens: HashSet<String>,
    /// Whether these are all tokens, or only those that are new.
    is_whole: bool,
    clients: HashSet<String>,
    /// The changes before it.
    changes: Changes,
    /// The time of the database, seconds since the epoch.
    read_at: f64,
}

/// Since when the tokens have to be read.
#[derive(Clone, Copy, Debug)]
struct Since {
    /// The time of the database at the last read, seconds since the epoch.
    read_at: f64,
    whole_at: Instant,
}

impl Revocations {
    /// Whether they have been read: before that, a token that was revoked looks like any other.
    pub fn is_known(&self) -> bool {
        self.read().known
    }

    /// Is told when a token that was accepted may not be any more.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether a token was revoked.
    pub fn is_revoked(&self, token_id: &str) -> bool {
        self.read().tokens.contains(token_id)
    }

    /// Whether a client is suspended or rejected.
    pub fn is_blocked(&self, client_id: &str) -> bool {
        self.read().clients.contains(client_id)
    }

    /// Refuses a token from now on.
    pub fn revoke(&self, token_id: &str) {
        let mut sets = self.write();
        sets.changes.tokens += 1;
        sets.tokens.insert(token_id.to_owned());
        drop(sets);
        self.changed.send_replace(());
    }

    /// Refuses, or accepts again, the tokens of a client from now on.
    pub fn block(&self, client_id: &str, blocked: bool) {
        let mut sets = self.write();
        sets.changes.clients += 1;
        if blocked {
            sets.clients.insert(client_id.to_owned());
        } else {
            sets.clients.remove(client_id);
        }
        drop(sets);
        self.changed.send_replace(());
    }

    /// Reads what is new again and again until the shutdown is requested. `check` holds once they are known.
    pub async fn refresh(&self, database: &PgPool, check: &Check, shutdown: &Shutdown) {
        let mut since = None;
        while !shutdown.is_requested() {
            let changes = self.read().changes;
            match load(database, changes, since).await {
                Ok(loaded) => {
                    since = next(since, &loaded);
                    self.take_over(loaded);
                    if self.is_known() {
                        check.set(true, "revoked tokens are known");
                    }
                }
                Err(error) => tracing::debug!(%error, "revocations stay as they were"),
            }
            tokio::select! {
                () = tokio::time::sleep(REFRESH) => {}
                () = shutdown.requested() => {}
            }
        }
    }

    /// Takes over what was read, unless this instance knows better by now.
    fn take_over(&self, loaded: Read) {
        let sets = self.read();
        let tokens: Vec<String> = loaded.tokens.difference(&sets.tokens).cloned().collect();
        let clients_are_news = sets.clients != loaded.clients;
        let forgets = loaded.is_whole && sets.tokens.len() + tokens.len() > loaded.tokens.len();
        let is_known = sets.known;
        drop(sets);
        let is_news = clients_are_news || !tokens.is_empty();
        if is_known && !is_news && !forgets {
            return;
        }
        let mut sets = self.write();
        let former_tokens = if forgets && sets.changes.tokens == loaded.changes.tokens {
            std::mem::replace(&mut sets.tokens, loaded.tokens)
        } else {
            sets.tokens.extend(tokens);
            HashSet::new()
        };
        let former_clients = if sets.changes.clients == loaded.changes.clients {
            sets.known = true;
            std::mem::replace(&mut sets.clients, loaded.clients)
        } else {
            HashSet::new()
        };
        drop(sets);
        // Nobody waits while they are dropped.
        drop((former_tokens, former_clients));
        if is_news {
            self.changed.send_replace(());
        }
    }

    /// The sets are intact even after a thread panicked while it held the lock.
    fn read(&self) -> RwLockReadGuard<'_, Sets> {
        self.sets.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Sets> {
        self.sets.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Since when the tokens have to be read after this; none for all of them.
fn next(since: Option<Since>, loaded: &Read) -> Option<Since> {
    let whole_at = match since {
        Some(since) if !loaded.is_whole => since.whole_at,
        _ => Instant::now(),
    };
    let is_back = since.is_some_and(|since| loaded.read_at < since.read_at);
    (!is_back && whole_at.elapsed() < WHOLE).then_some(Since {
        read_at: loaded.read_at,
        whole_at,
    })
}

async fn load(database: &PgPool, changes: Changes, since: Option<Since>) -> sqlx::Result<Read> {
    // Only suspended clients matter here: a client that was never active has no token.
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT 'time', extract(epoch FROM now())::float8::text
         UNION ALL SELECT 'token', token_id::text FROM revoked_tokens
                   WHERE expires_at > now() AND ($1::float8 IS NULL OR revoked_at > to_timestamp($1))
         UNION ALL SELECT 'client', client_id::text FROM clients WHERE status = 'suspended'",
    )
    .bind(since.map(|since| since.read_at - OVERLAP.as_secs_f64()))
    .fetch_all(database)
    .await?;
    let mut read = Read {
        is_whole: since.is_none(),
        changes,
        ..Read::default()
    };
    for (kind, value) in rows {
        match kind.as_str() {
            "token" => drop(read.tokens.insert(value)),
            "client" => drop(read.clients.insert(value)),
            _ => read.read_at = value.parse().unwrap_or_default(),
        }
    }
    Ok(read)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn names(names: &[&str]) -> HashSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn whole(tokens: &[&str], clients: &[&str], changes: Changes) -> Read {
        Read {
            tokens: names(tokens),
            is_whole: true,
            clients: names(clients),
            changes,
            read_at: 1_000.0,
        }
    }

    fn new(tokens: &[&str], clients: &[&str], changes: Changes) -> Read {
        Read {
            is_whole: false,
            ..whole(tokens, clients, changes)
        }
    }

    const NONE: Changes = Changes { tokens: 0, clients: 0 };

    #[test]
    fn a_revocation_counts_at_once_and_outlives_an_older_read() {
        let revocations = Revocations::default();
        revocations.revoke("token");
        revocations.block("client", true);
        assert!(revocations.is_revoked("token") && !revocations.is_revoked("client"));
        assert!(revocations.is_blocked("client"));
        revocations.block("client", false);
        assert!(!revocations.is_blocked("client"));
        revocations.take_over(whole(&[], &["client"], NONE));
        assert!(revocations.is_revoked("token"), "read before the revocation");
        assert!(!revocations.is_blocked("client"), "read before it was accepted again");
        revocations.take_over(whole(&[], &["client"], Changes { tokens: 1, clients: 2 }));
        assert!(!revocations.is_revoked("token"));
        assert!(revocations.is_blocked("client"));
    }

    #[test]
    fn nothing_is_known_before_the_first_read() {
        let revocations = Revocations::default();
        revocations.revoke("token");
        assert!(!revocations.is_known(), "one of them is not all");
        revocations.take_over(whole(&[], &[], Changes { tokens: 1, clients: 0 }));
        assert!(revocations.is_known());
        let nothing = Revocations::default();
        nothing.take_over(whole(&[], &[], NONE));
        assert!(nothing.is_known(), "there may be none");
    }

    #[test]
    fn what_others_revoke_counts_however_much_is_revoked_here() {
        let revocations = Revocations::default();
        for number in 0..10 {
            // Each read is overtaken by a change of this instance.
            let changes = revocations.read().changes;
            let read = new(&[&format!("other-{number}")], &[], changes);
            revocations.revoke(&format!("own-{number}"));
            revocations.block("client", true);
            revocations.take_over(read);
        }
        let all = |of: &str| (0..10).all(|number| revocations.is_revoked(&format!("{of}-{number}")));
        assert!(all("own") && all("other"));
        assert!(revocations.is_blocked("client"));
    }

    #[test]
    fn what_is_new_is_added_and_only_a_whole_read_forgets() {
        let revocations = Revocations::default();
        revocations.take_over(whole(&["a", "b"], &["x"], NONE));
        revocations.take_over(new(&["c"], &["y"], NONE));
        assert_eq!(revocations.read().tokens, names(&["a", "b", "c"]));
        assert_eq!(
            revocations.read().clients,
            names(&["y"]),
            "clients are always read whole"
        );
        revocations.take_over(whole(&["b", "d"], &["y"], NONE));
        assert_eq!(revocations.read().tokens, names(&["b", "d"]));
    }

    #[test]
    fn who_listens_hears_of_changes_only() {
        let revocations = Revocations::default();
        let mut changes = revocations.changes();
        let mut is_heard = || {
            let heard = changes.has_changed().unwrap();
            changes.mark_unchanged();
            heard
        };
        assert!(!is_heard());
        revocations.take_over(whole(&["one"], &[], NONE));
        assert!(is_heard());
        revocations.take_over(whole(&["one"], &[], NONE));
        assert!(!is_heard());
        revocations.take_over(new(&["one"], &[], NONE));
        assert!(!is_heard(), "it is in the overlap");
        revocations.take_over(new(&["three"], &[], NONE));
        assert!(is_heard());
        revocations.take_over(new(&[], &["client"], NONE));
        assert!(is_heard());
        revocations.revoke("two");
        assert!(is_heard());
    }

    #[test]
    fn nobody_is_held_up_while_nothing_is_new() {
        let revocations = Arc::new(Revocations::default());
        let read = |is_whole| Read {
            is_whole,
            ..whole(&["one", "two"], &["client"], NONE)
        };
        revocations.take_over(read(true));
        // Somebody checks a token meanwhile; whoever wants to write waits for the end of the check.
        let checking = revocations.read();
        let (sender, taken_over) = std::sync::mpsc::channel();
        let same = Arc::clone(&revocations);
        let reads = [read(true), read(false)];
        std::thread::spawn(move || {
            for read in reads {
                same.take_over(read);
                sender.send(()).unwrap();
            }
        });
        for _ in 0..2 {
            taken_over
                .recv_timeout(Duration::from_secs(30))
                .expect("it waits to write");
        }
        drop(checking);
    }

    #[test]
    fn all_tokens_are_read_at_the_start_and_when_the_clock_was_set_back() {
        let at = |read_at, is_whole| Read {
            read_at,
            is_whole,
            ..Read::default()
        };
        let first = next(None, &at(1_000.0, true));
        assert!(first.is_some_and(|since| since.read_at == 1_000.0));
        let second = next(first, &at(1_001.0, false));
        assert!(second.is_some_and(|since| since.read_at == 1_001.0));
        assert!(next(second, &at(999.0, false)).is_none(), "set back");
        let old = second.map(|since| Since {
            whole_at: Instant::now().checked_sub(WHOLE).unwrap(),
            ..since
        });
        assert!(next(old, &at(1_002.0, false)).is_none(), "after a while");
        assert!(next(old, &at(1_002.0, true)).is_some());
    }
}
