//! The configuration of whoever keeps the market.

use std::time::Duration;

use brokerx_schemas::Config;

/// How the market is kept.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct MarketOptions {
    /// Beyond this age of its last heartbeat a book partition counts as away, milliseconds
    #[arg(long, env = "BROKERX_HEARTBEAT_AGE_MS_MAX", default_value_t = 3_000)]
    pub heartbeat_age_ms_max: u64,
    /// Within this time each symbol appears in a snapshot, seconds; the same as in the configuration of the machines
    #[arg(long, env = "BROKERX_SNAPSHOT_CYCLE_SECONDS", default_value_t = Config::default().snapshot_cycle_seconds as u64)]
    pub snapshot_cycle_seconds: u64,
}

impl MarketOptions {
    /// Beyond this age of its last heartbeat a book partition counts as away.
    pub fn heartbeat_age_max(&self) -> Duration {
        Duration::from_millis(self.heartbeat_age_ms_max)
    }

    /// Within this time each symbol appears in a snapshot.
    pub fn snapshot_cycle(&self) -> Duration {
        Duration::from_secs(self.snapshot_cycle_seconds)
    }
}
