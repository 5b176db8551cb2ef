//! Waiting for a condition.

use std::time::{Duration, Instant};

use anyhow::ensure;

/// Waits until a condition holds.
///
/// # Errors
/// When it does not hold within the limit, or cannot be checked.
pub async fn eventually(
    what: &str,
    limit: Duration,
    mut holds: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        if holds().await? {
            return Ok(());
        }
        ensure!(started.elapsed() < limit, "did not happen within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
