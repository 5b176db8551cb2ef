//! Makes a cluster what the catalogue says: topics, schemas, genesis, configuration.
//!
//! - [`apply`] is idempotent: what is there already stays, the partition count of the log included. It refuses a
//!   topic with another one, and an inbox that does not begin with the genesis of the same log.
//! - [`configure`] appends a new configuration to every inbox partition, and repeats itself until
//!   each has it. Nothing but such a record ever changes what a machine computes with.
//! - [`drift`] only looks.
//! - [`grant_rights`] gives the principals of the catalogue their rights, where brokers ask for them.
//!
//! Two runs at once exclude each other through a consumer group ([`lock::Lock`]): the broker grants the
//! one partition of a topic to one member. A run that lost its membership could still write; the
//! genesis is therefore also checked to stand at offset 0 when the broker acknowledges it.
//!
//! This is the work of a command-line tool: it blocks its thread while it asks the brokers.

mod calendar;
mod cluster;
mod config_file;
mod configure;
mod connect;
mod drift;
mod genesis;
mod inbox;
mod lock;
mod notebook;
mod options;
mod rights;
mod schemas;
mod topics;

use anyhow::Result;
use brokerx_schemas::Config;

use crate::codec::Codec;
use crate::service::PlatformOptions;

pub use calendar::{Calendar, Weekday};
pub use config_file::read_config;
pub use configure::{Configured, configure, current_config};
use connect::connect;
pub use drift::{Drift, drift};
use lock::Lock;
pub use options::ClusterOptions;
pub use rights::{Granted, grant_rights};

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

/// Makes topics, schemas and genesis records that are missing. `config` seeds a new log, or the default one for its
/// partitions; an existing one keeps its own, also when only some of its partitions had a genesis yet.
///
/// # Errors
/// When broker or registry stay away, refuse, or hold something that contradicts the catalogue.
pub async fn apply(platform: &PlatformOptions, options: &ClusterOptions, config: Option<&Config>) -> Result<Applied> {
    let (cluster, registry) = connect(platform, options).await?;
    let (topics_created, topics_altered) = topics::apply(&cluster, options).await?;
    // Topics are made or refused as a whole by the broker; what follows is read, then written.
    let _lock = Lock::acquire(platform, options.limit())?;
    let schemas_changed = schemas::apply(&registry).await?;
    let codec = Codec::connect(platform, options.limit()).await?;
    let config = match (config, cluster.partitions_of_log()?) {
        (Some(config), _) => config.clone(),
        (None, Some(partitions)) => Config::of_a_log(partitions),
        (None, None) => Config::default(),
    };
    let (geneses_written, seeded_with) = genesis::apply(&cluster, options, &codec, &config).await?.unzip();
    Ok(Applied {
        topics_created,
        topics_altered,
        schemas_changed,
        geneses_written: geneses_written.unwrap_or(0),
        seeded_with,
    })
}
