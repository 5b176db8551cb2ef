//! What the command is told about its cluster.

use std::time::Duration;

use brokerx_schemas::PARTITIONS;

/// What depends on the cluster rather than on the topic.
#[derive(clap::Args, Clone, Debug)]
pub struct ClusterOptions {
    /// Partitions that a new log is begun with, of each topic whose records have an account or a symbol for a key: at
    /// least as many as processors will ever work on it. A log that is there keeps its own
    #[arg(long, env = "BROKERX_PARTITIONS", default_value_t = PARTITIONS, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    pub partitions: i32,
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
    /// The longest wait for anything.
    pub(super) fn limit(&self) -> Duration {
        Duration::from_secs(self.wait_seconds_max)
    }
}
