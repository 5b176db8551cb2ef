//! A graceful stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether the process is asked to stop. Every clone sees the same request.
#[derive(Clone, Debug)]
pub struct Shutdown {
    requested: watch::Sender<bool>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            requested: watch::Sender::new(false),
        }
    }
}

impl Shutdown {
    /// Requested by SIGTERM or SIGINT. A second signal ends the process at once.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, or when the system refuses a signal handler.
    pub fn on_signals() -> Self {
        let shutdown = Self::default();
        let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM can be set");
        let mut interrupt = signal(SignalKind::interrupt()).expect("a handler for SIGINT can be set");
        let requested = shutdown.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if requested.is_requested() {
                    tracing::error!(signal = name, "a second signal: ending at once");
                    std::process::exit(1);
                }
                tracing::info!(signal = name, "stopping");
                requested.request();
            }
        });
        shutdown
    }

    /// Asks to stop.
    pub fn request(&self) {
        self.requested.send_replace(true);
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits until somebody asks.
    pub async fn requested(&self) {
        // Never fails: this sender outlives the receiver.
        let _ = self.requested.subscribe().wait_for(|requested| *requested).await;
    }
}
