//! Whether the provider lets us in. While it does not, one payment at a time tries for all, after a pause: an operator
//! has to help, and many wrong credentials in a row look like an attack.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brokerx_topics::service::{Backoff, Check};
use tokio::sync::{Mutex, MutexGuard};

/// Before a try: the first pause and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Whether the provider takes our credential, as far as is known.
pub(super) struct Admission {
    is_refused: AtomicBool,
    /// Whoever holds it tries for all.
    pauses: Mutex<Backoff>,
    /// Holds unless the provider refuses us.
    check: Check,
}

/// The right to send one request, which tries for all.
pub(super) struct Trial<'a>(MutexGuard<'a, Backoff>);

impl Admission {
    /// Nobody was asked yet.
    pub(super) fn new(check: Check) -> Self {
        check.set(true, "not asked yet");
        Self {
            is_refused: AtomicBool::new(false),
            pauses: Mutex::new(Backoff::between(PAUSES.0, PAUSES.1)),
            check,
        }
    }

    /// Whether we were refused last.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Waits while we are refused, until it is one's turn to try or somebody was let in; the latter gives none.
    pub(super) async fn wait(&self) -> Option<Trial<'_>> {
        if !self.is_refused() {
            return None;
        }
        let mut pauses = self.pauses.lock().await;
        // Somebody else's try may have ended it.
        if !self.is_refused() {
            return None;
        }
        tokio::time::sleep(pauses.next()).await;
        Some(Trial(pauses))
    }

    /// A request was refused. What was under way when that became known says nothing new.
    pub(super) fn refused(&self, trial: Option<Trial<'_>>, reason: &dyn Display) {
        let was_refused = self.is_refused.swap(true, Ordering::Relaxed);
        if !was_refused || trial.is_some() {
            self.check.set(false, &reason.to_string());
            tracing::error!(%reason, "all payments wait until the provider lets us in");
        }
    }

    /// A request was let in.
    pub(super) fn let_in(&self, trial: Option<Trial<'_>>) {
        self.is_refused.store(false, Ordering::Relaxed);
        if let Some(Trial(mut pauses)) = trial {
            pauses.reset();
        }
        self.check.set(true, "answers");
    }
}
