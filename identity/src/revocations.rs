//! Tokens and clients that are not accepted any more, kept in memory so that a check needs no database.
//!
//! They are read from PostgreSQL every few seconds; what this instance revokes counts at once. While the
//! database cannot be reached, the last known ones stay in force.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use brokerx_topics::service::Shutdown;
use sqlx::PgPool;

const REFRESH: Duration = Duration::from_secs(2);

/// The tokens and clients that are not accepted.
#[derive(Debug, Default)]
pub struct Revocations {
    sets: RwLock<Sets>,
}

#[derive(Debug, Default)]
struct Sets {
    tokens: HashSet<String>,
    clients: HashSet<String>,
    /// Counts the changes made by this instance. A read that began before the last of them would undo it,
    /// and is dropped.
    changes: u64,
}

impl Revocations {
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
    }

    /// Reads the sets again and again until the shutdown is requested.
    pub async fn refresh(&self, database: &PgPool, shutdown: &Shutdown) {
        while !shutdown.is_requested() {
            let changes = self.sets.read().unwrap_or_else(PoisonError::into_inner).changes;
            match load(database, changes).await {
                Ok(loaded) => self.take_over(loaded),
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
        if sets.changes == loaded.changes {
            *sets = loaded;
        }
    }
}

async fn load(database: &PgPool, changes: u64) -> sqlx::Result<Sets> {
    let tokens: Vec<String> = sqlx::query_scalar("SELECT token_id::text FROM revoked_tokens WHERE expires_at > now()")
        .fetch_all(database)
        .await?;
    // Only suspended clients matter here: a client that was never active has no token.
    let clients: Vec<String> = sqlx::query_scalar("SELECT client_id::text FROM clients WHERE status = 'suspended'")
        .fetch_all(database)
        .await?;
    Ok(Sets {
        tokens: tokens.into_iter().collect(),
        clients: clients.into_iter().collect(),
        changes,
    })
}

#[cfg(test)]
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
}
