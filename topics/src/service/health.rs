//! Whether a process is able to serve.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// The checks of a process. It is ready when each of them holds.
#[derive(Clone, Debug, Default)]
pub struct Health {
    checks: Arc<Mutex<Vec<State>>>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct State {
    name: String,
    ready: bool,
    detail: String,
}

/// One condition of being ready.
#[derive(Clone, Debug)]
pub struct Check {
    checks: Arc<Mutex<Vec<State>>>,
    index: usize,
}

impl Health {
    /// Adds a check, which does not hold until it is set.
    pub fn add(&self, name: &str) -> Check {
        let mut checks = lock(&self.checks);
        checks.push(State {
            name: name.to_owned(),
            ready: false,
            detail: "starting".to_owned(),
        });
        Check {
            checks: Arc::clone(&self.checks),
            index: checks.len() - 1,
        }
    }

    /// Whether every check holds.
    pub fn is_ready(&self) -> bool {
        lock(&self.checks).iter().all(|check| check.ready)
    }

    pub(super) fn states(&self) -> Vec<State> {
        lock(&self.checks).clone()
    }
}

impl Check {
    /// Says whether the condition holds, and why (not).
    pub fn set(&self, ready: bool, detail: &str) {
        let mut checks = lock(&self.checks);
        let state = &mut checks[self.index];
        if state.ready != ready {
            tracing::info!(check = state.name, ready, detail, "readiness changed");
        }
        state.ready = ready;
        if state.detail != detail {
            detail.clone_into(&mut state.detail);
        }
    }
}

/// A thread that panicked while it held the lock left whole values behind.
fn lock(checks: &Mutex<Vec<State>>) -> MutexGuard<'_, Vec<State>> {
    checks.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_every_check_holds() {
        let health = Health::default();
        assert!(health.is_ready());
        let (kafka, replies) = (health.add("kafka"), health.add("replies"));
        assert!(!health.is_ready());
        kafka.set(true, "connected");
        assert!(!health.is_ready());
        replies.set(true, "flowing");
        assert!(health.is_ready());
        kafka.set(false, "no broker");
        assert!(!health.is_ready());
        assert_eq!(health.states()[0].detail, "no broker");
    }
}
