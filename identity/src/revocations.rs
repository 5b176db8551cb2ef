//! Tokens and clients that are not accepted any more, kept in memory so that a check needs no database.
//!
//! They are read from PostgreSQL every second; what this instance revokes counts at once. Before they
//! were read for the first time nothing is known of any token, so none may be accepted. When the database
//! goes away later, the last known ones stay in force.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use brokerx_topics::service::{Check, Shutdown};
use sqlx::PgPool;
use tokio::sync::watch;

const REFRESH: Duration = Duration::from_secs(1);

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
    /// Counts the changes made by this instance. A read that began before the last of them would undo it,
    /// and is dropped.
    changes: u64,
}

impl Revocations {
    /// Whether they have been read: before that, a token that was revoked looks like any other.
    pub fn is_known(&self) -> bool {
        self.sets.read().unwrap_or_else(PoisonError::into_inner).known
    }

    /// Is told when a token that was accepted may not be any more.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether a token was revoked.
    pub fn is_revoked(&self, token_id: &str) -> bool {
        self.sets
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .tokens
            .contains(token_id)
    }

    /// Whether a client is suspended or rejected.
    pub fn is_blocked(&self, client_id: &str) -> bool {
        self.sets
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clients
            .contains(client_id)
    }

    /// Refuses a token from now on.
    pub fn revoke(&self, token_id: &str) {
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        sets.changes += 1;
        sets.tokens.insert(token_id.to_owned());
        drop(sets);
        self.changed.send_replace(());
    }

    /// Refuses, or accepts again, the tokens of a client from now on.
    pub fn block(&self, client_id: &str, blocked: bool) {
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        sets.changes += 1;
        if blocked {
            sets.clients.insert(client_id.to_owned());
        } else {
            sets.clients.remove(client_id);
        }
        drop(sets);
        self.changed.send_replace(());
    }

    /// Reads the sets again and again until the shutdown is requested. `check` holds once they are known.
    pub async fn refresh(&self, database: &PgPool, check: &Check, shutdown: &Shutdown) {
        while !shutdown.is_requested() {
            let changes = self.sets.read().unwrap_or_else(PoisonError::into_inner).changes;
            match load(database, changes).await {
                Ok(loaded) => {
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

    fn take_over(&self, loaded: Sets) {
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        if sets.changes != loaded.changes {
            return;
        }
        let is_news = sets.tokens != loaded.tokens || sets.clients != loaded.clients;
        *sets = loaded;
        drop(sets);
        if is_news {
            self.changed.send_replace(());
        }
    }
}

async fn load(database: &PgPool, changes: u64) -> sqlx::Result<Sets> {
    // Only suspended clients matter here: a client that was never active has no token.
    let rows: Vec<(bool, String)> = sqlx::query_as(
        "SELECT true, token_id::text FROM revoked_tokens WHERE expires_at > now()
         UNION ALL SELECT false, client_id::text FROM clients WHERE status = 'suspended'",
    )
    .fetch_all(database)
    .await?;
    let mut sets = Sets {
        known: true,
        changes,
        ..Sets::default()
    };
    for (is_token, id) in rows {
        let set = if is_token { &mut sets.tokens } else { &mut sets.clients };
        set.insert(id);
    }
    Ok(sets)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_counts_at_once_and_outlives_an_older_read() {
        let revocations = Revocations::default();
        revocations.revoke("token");
        revocations.block("client", true);
        assert!(revocations.is_revoked("token") && !revocations.is_revoked("client"));
        assert!(revocations.is_blocked("client"));
        revocations.block("client", false);
        assert!(!revocations.is_blocked("client"));
        revocations.take_over(Sets::default());
        assert!(revocations.is_revoked("token"), "read before the revocation");
        revocations.take_over(Sets {
            changes: 3,
            ..Sets::default()
        });
        assert!(!revocations.is_revoked("token"));
    }

    #[test]
    fn nothing_is_known_before_the_first_read() {
        let revocations = Revocations::default();
        revocations.revoke("token");
        assert!(!revocations.is_known(), "one of them is not all");
        let read = || Sets {
            known: true,
            changes: 1,
            ..Sets::default()
        };
        revocations.take_over(read());
        assert!(revocations.is_known());
    }

    #[test]
    fn who_listens_hears_of_changes_only() {
        let revocations = Revocations::default();
        let mut changes = revocations.changes();
        let read = |token: &str| Sets {
            tokens: HashSet::from([token.to_owned()]),
            known: true,
            ..Sets::default()
        };
        let mut is_heard = || {
            let heard = changes.has_changed().unwrap();
            changes.mark_unchanged();
            heard
        };
        assert!(!is_heard());
        revocations.take_over(read("one"));
        assert!(is_heard());
        revocations.take_over(read("one"));
        assert!(!is_heard());
        revocations.revoke("two");
        assert!(is_heard());
    }
}
