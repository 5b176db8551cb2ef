//! How a projector is started.

use std::time::Duration;

/// Where the projection is written, and in what portions.
#[derive(clap::Args, Clone, Debug)]
pub struct ProjectorOptions {
    /// The database, `postgres://user:password@host:port/database`
    #[arg(long, env = "BROKERX_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Most records in one transaction of the projector
    #[arg(long, env = "BROKERX_PROJECTOR_RECORDS_MAX", default_value_t = 4_000)]
    pub projector_records_max: usize,
    /// Most bytes of records in one transaction of the projector
    #[arg(long, env = "BROKERX_PROJECTOR_BYTES_MAX", default_value_t = 8 << 20)]
    pub projector_bytes_max: usize,
    /// How long the first record of a transaction waits for others, milliseconds
    #[arg(long, env = "BROKERX_PROJECTOR_LINGER_MS", default_value_t = 10)]
    pub projector_linger_ms: u64,
}

/// What bounds a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchLimits {
    pub(super) records_max: usize,
    pub(super) bytes_max: usize,
    pub(super) linger: Duration,
}

impl From<&ProjectorOptions> for BatchLimits {
    fn from(options: &ProjectorOptions) -> Self {
        Self {
            records_max: options.projector_records_max.max(1),
            bytes_max: options.projector_bytes_max.max(1),
            linger: Duration::from_millis(options.projector_linger_ms),
        }
    }
}
