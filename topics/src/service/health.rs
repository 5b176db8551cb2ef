//! Whether a process is able to serve.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// The checks of a process. It is ready when each of them holds that it needs to serve.
#[derive(Clone, Debug, Default)]
pub struct Health {
    checks: Arc<Mutex<Vec<State>>>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct State {
    name: String,
    ready: bool,
    /// Whether the process is ready without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    aside: bool,
    detail: String,
}

/// One condition of being ready, or of what a process does aside.
#[derive(Clone, Debug)]
pub struct Check {
    checks: Arc<Mutex<Vec<State>>>,
    index: usize,
}

impl Health {
    /// Adds a check, which does not hold until it is set.
    pub fn add(&self, name: &str) -> Check {
        self.push(name, false)
    }

    /// Adds a check of something that the process does aside: it is shown, and whoever is served does not
    /// need it. As long as it does not hold, the process is ready all the same.
    pub fn add_aside(&self, name: &str) -> Check {
        self.push(name, true)
    }

    fn push(&self, name: &str, aside: bool) -> Check {
        let mut checks = lock(&self.checks);
        checks.push(State {
            name: name.to_owned(),
            ready: false,
            aside,
            detail: "starting".to_owned(),
        });
        Check {
            checks: Arc::clone(&self.checks),
            index: checks.len() - 1,
        }
    }

    /// Whether every check holds that is needed to serve.
    pub fn is_ready(&self) -> bool {
        lock(&self.checks).iter().all(|check| check.ready || check.aside)
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

    #[test]
    fn ready_without_what_is_done_aside() {
        let health = Health::default();
        let (kafka, mail) = (health.add("kafka"), health.add_aside("mail"));
        kafka.set(true, "connected");
        assert!(health.is_ready());
        mail.set(false, "the mail server is away");
        assert!(health.is_ready());
        let shown = serde_json::to_value(health.states()).expect("states are JSON");
        let expected = serde_json::json!([
            {"name": "kafka", "ready": true, "detail": "connected"},
            {"name": "mail", "ready": false, "aside": true, "detail": "the mail server is away"},
        ]);
        assert_eq!(shown, expected);
    }
}
