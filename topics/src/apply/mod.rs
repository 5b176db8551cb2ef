//! Makes a cluster what the catalogue says: topics, schemas, genesis, configuration.
//!
//! - [`apply`] is idempotent: what is there already stays. It refuses a topic with another
//!   partition count, and an inbox that does not begin with the genesis of the same log.
//! - [`configure`] appends a new configuration to every inbox partition, and repeats itself until
//!   each has it. Nothing but such a record ever changes what a machine computes with.
//! - [`drift`] only looks.
//!
//! Two runs at once exclude each other through a consumer group ([`lock::Lock`]): the broker grants the
//! one partition of a topic to one member. A run that lost its membership could still write; the
//! genesis is therefore also checked to stand at offset 0 when the broker acknowledges it.
//!
//! These are the works of a command: they block their thread while they ask the brokers.

mod calendar;
mod cluster;
mod config_file;
mod configure;
mod drift;
mod genesis;
mod inbox;
mod lock;
mod schemas;
mod topics;

use std::time::Duration;

use anyhow::{Context, Result};
use brokerx_schemas::Config;

use crate::codec::{Codec, Registry};
use crate::service::{PlatformOptions, backoff};

pub use calendar::{Calendar, Weekday};
use cluster::Cluster;
pub use config_file::read_config;
pub use configure::{Configured, configure, current_config};
pub use drift::{Drift, drift};
use lock::Lock;

/// What depends on the cluster rather than on the topic.
#[derive(clap::Args, Clone, Debug)]
pub struct ClusterOptions {
    /// Copies of every partition; 3 in production
    #[arg(long, env = "BROKERX_REPLICATION_FACTOR", default_value_t = 1)]
    pub replication_factor: i32,
    /// Copies that must have a record before it is acknowledged; 2 in production
    #[arg(long, env = "BROKERX_MIN_INSYNC_REPLICAS", default_value_t = 1)]
    pub min_insync_replicas: i32,
    /// How long to wait for the broker, the registry and another run of this command, seconds
    #[arg(long, default_value_t = 60)]
    pub wait_seconds_max: u64,
}

impl ClusterOptions {
    fn limit(&self) -> Duration {
        Duration::from_secs(self.wait_seconds_max)
    }
}

/// What [`apply`] had to do; the default when everything was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Topics that were made.
    pub topics_created: usize,
    /// Topics whose settings were brought back to the catalogue's.
    pub topics_altered: usize,
    /// Schemas that were registered or whose compatibility was set.
    pub schemas_changed: usize,
    /// Inbox partitions that got their genesis.
    pub geneses_written: usize,
    /// The configuration in them.
    pub seeded_with: Option<Config>,
}

/// Makes topics, schemas and genesis records that are missing. `config` seeds a new log; an
/// existing one keeps its own, also when only some of its partitions had a genesis yet.
///
/// # Errors
/// When broker or registry stay away, refuse, or hold something that contradicts the catalogue.
pub async fn apply(platform: &PlatformOptions, options: &ClusterOptions, config: &Config) -> Result<Applied> {
    let (cluster, registry) = connect(platform, options).await?;
    let (topics_created, topics_altered) = topics::apply(&cluster, options).await?;
    // Topics are made or refused as a whole by the broker; what follows is read, then written.
    let _lock = Lock::acquire(platform, options.limit())?;
    let schemas_changed = schemas::apply(&registry).await?;
    let codec = Codec::connect(&platform.schema_registry_url, options.limit()).await?;
    let (geneses_written, seeded_with) = genesis::apply(&cluster, &codec, config).await?.unzip();
    Ok(Applied {
        topics_created,
        topics_altered,
        schemas_changed,
        geneses_written: geneses_written.unwrap_or(0),
        seeded_with,
    })
}

/// Waits for broker and registry, at most the limit for both together.
async fn connect(platform: &PlatformOptions, options: &ClusterOptions) -> Result<(Cluster, Registry)> {
    let cluster = Cluster::new(platform)?;
    let registry = Registry::new(&platform.schema_registry_url)?;
    let waited = tokio::time::timeout(options.limit(), async {
        until("the broker", async || cluster.is_there().await).await;
        until("the schema registry", async || Ok(registry.is_there().await?)).await;
    });
    if waited.await.is_err() {
        let limit = options.wait_seconds_max;
        cluster
            .is_there()
            .await
            .with_context(|| format!("no broker at {} within {limit} s", platform.kafka_brokers))?;
        registry
            .is_there()
            .await
            .with_context(|| format!("no schema registry within {limit} s"))?;
    }
    Ok((cluster, registry))
}

async fn until(name: &str, mut attempt: impl AsyncFnMut() -> Result<()>) {
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
