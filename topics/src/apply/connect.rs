//! The broker and the registry, once they are there.

use anyhow::{Context, Result};

use super::cluster::Cluster;
use super::options::ClusterOptions;
use crate::codec::Registry;
use crate::service::{PlatformOptions, backoff};

/// Waits for broker and registry, at most the limit for both together.
pub(super) async fn connect(platform: &PlatformOptions, options: &ClusterOptions) -> Result<(Cluster, Registry)> {
    let cluster = Cluster::new(platform)?;
    let registry = Registry::new(platform)?;
    let waited = tokio::time::timeout(options.limit(), async {
        until("the broker", async || cluster.is_there().await).await;
        until("the schema registry", async || Ok(registry.is_there().await?)).await;
    });
    if waited.await.is_err() {
        let limit = options.wait_seconds_max;
        cluster.is_there().await.with_context(|| no_broker(platform, options))?;
        registry
            .is_there()
            .await
            .with_context(|| format!("no schema registry within {limit} s"))?;
    }
    Ok((cluster, registry))
}

/// That no broker came in time. One that expects TLS says nothing to a client in clear: so it is told how it was
/// spoken to.
pub(super) fn no_broker(platform: &PlatformOptions, options: &ClusterOptions) -> String {
    let (brokers, limit_s) = (&platform.kafka_brokers, options.wait_seconds_max);
    let protocol = platform.kafka_security.protocol.name();
    format!("no broker at {brokers} within {limit_s} s, spoken to by {protocol} (BROKERX_KAFKA_SECURITY)")
}

/// Waits until something succeeds; the caller limits the time.
pub(super) async fn until(name: &str, mut attempt: impl AsyncFnMut() -> Result<()>) {
    let mut backoff = backoff();
    let mut told = String::new();
    while let Err(reason) = attempt().await {
        let reason = format!("{reason:#}");
        if reason != told {
            tracing::info!("waiting for {name}: {reason}");
            told = reason;
        }
        tokio::time::sleep(backoff.next()).await;
    }
}
