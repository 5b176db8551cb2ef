//! Options of the runner.

use std::path::PathBuf;

const APPLY_THREADS_MAX: usize = 8;

fn half_of_the_processors() -> u16 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from((processors / 2).clamp(1, APPLY_THREADS_MAX)).unwrap_or(1)
}

/// How machines are driven.
#[derive(clap::Args, Clone, Debug)]
pub struct RunnerOptions {
    /// Folder of the snapshots
    #[arg(long, env = "BROKERX_SNAPSHOT_DIR", default_value = ".brokerx/snapshots")]
    pub snapshot_dir: PathBuf,
    /// A partition that changed is snapshotted after this many seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_interval_seconds: u64,
    /// A partition is snapshotted after this many records, when that comes first
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_records_max: u64,
    /// Threads that apply records; partition p belongs to thread p modulo this. Half as many as this machine has
    /// processors, 8 at most, unless told otherwise: the rest does what they wait for
    #[arg(long, env = "BROKERX_APPLY_THREADS", default_value_t = half_of_the_processors(), value_parser = clap::value_parser!(u16).range(1..=64))]
    pub apply_threads: u16,
    /// Milliseconds between commits of what is acknowledged
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..=10_000))]
    pub commit_interval_ms: u64,
    /// Milliseconds that the broker gathers records before it answers while many come; 0 has it
    /// answer at once. A machine that nobody waits for costs the broker less this way
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000))]
    pub gather_ms: u64,
    /// A record that was appended this many seconds ahead of this machine's clock is not applied before that
    /// time: one of both clocks is wrong, and what it moves in a machine's time does not come back
    #[arg(long, env = "BROKERX_AHEAD_SECONDS_MAX", default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..))]
    pub ahead_seconds_max: u64,
    /// A process whose apply threads make no progress for this many seconds gives its partitions up
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(3..=300))]
    pub stall_seconds_max: u64,
    /// A stop waits this many seconds at most for acknowledgements and snapshots
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub stop_seconds_max: u64,
}
