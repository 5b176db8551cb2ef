//! Ctrl-C, SIGTERM and SIGHUP as a flag that every wait of the launcher looks at.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::failure::{Failure, Result};

static REQUESTS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn record(_signal: i32) {
    REQUESTS.fetch_add(1, Ordering::SeqCst);
}

/// Turns the stop signals into the flag. Called once by the binary; tests keep the default action,
/// which ends them (and, through the parent-death signal, everything that they started).
pub fn install() {
    let action = SigAction::new(SigHandler::Handler(record), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only touches an atomic, which is async-signal-safe.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

/// Whether a stop was asked for.
pub fn requested() -> bool {
    REQUESTS.load(Ordering::SeqCst) > 0
}

/// Whether the user insists: a second signal means "do not wait for a clean stop".
pub fn insisted() -> bool {
    REQUESTS.load(Ordering::SeqCst) > 1
}

/// Fails with [`Failure::Interrupted`] once a stop was asked for.
pub fn check() -> Result<()> {
    if requested() {
        return Err(Failure::Interrupted);
    }
    Ok(())
}

/// Asks `condition` every `step` until it holds or `limit` has passed; says whether it held.
pub fn poll_until(limit: Duration, step: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(step);
    }
}
