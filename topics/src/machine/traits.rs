//! What a worker writes.

use brokerx_schemas::{Config, InboxMessage};

use super::{Outputs, Setup, SnapshotError};

/// A pure state machine over one inbox partition.
///
/// `apply` has no clock, no randomness, no I/O, iterates over no unordered map, computes with no
/// floating point and reads no configuration but that of [`Setup`] and [`Machine::configure`]. The
/// same records give the same states and outputs, always.
///
/// A business rejection is an output. A broken invariant freezes the account or symbol that broke
/// it. A panic is for the unforeseen: the runner stops the partition and does not restart it.
pub trait Machine: Sized + Send + 'static {
    /// The value of the inbox topic.
    type Input: InboxMessage;
    /// Where a snapshot in progress stands; `default()` begins one.
    type Cursor: Default + Send;

    /// Names the worker in metrics, logs and snapshot paths.
    const NAME: &'static str;
    /// The highest logic version that this build knows; a log that is ahead of it is refused.
    const LOGIC_VERSION_MAX: i32;
    /// Whether the inbox is another machine's output: no genesis, no clock, no configuration.
    const DERIVED: bool = false;

    /// The state before the first record.
    fn new(setup: &Setup) -> Self;

    /// A new configuration or logic version takes effect; orders keep the terms under which they
    /// were accepted.
    fn configure(&mut self, config: &Config, logic_version: i32);

    /// Applies one record that is not the runner's own. Checks before it changes anything.
    fn apply(&mut self, context: &Context, input: Self::Input, outputs: &mut Outputs) -> Step;

    /// The clock passed into `second`. Called at most once per second, never backwards, and not for
    /// each second: see [`Machine::next_tick`].
    fn tick(&mut self, context: &Context, second: i64, outputs: &mut Outputs) -> Step;

    /// The first second whose tick would do anything in the state of now; none when only another
    /// record can bring about something that waits for time. Before that the runner may leave ticks
    /// out, which costs a log of which nothing is asked nothing. To leave out one that does nothing
    /// must change no state and no output, now or later.
    fn next_tick(&self) -> Option<i64> {
        Some(i64::MIN)
    }

    /// How much of the room for what it remembers of its own accord is used, in thousandths: at 1,000 it
    /// refuses what it would have to remember. An alarm goes off long before.
    fn memory_permille(&self) -> i64 {
        0
    }

    /// Goes on with a record that answered [`Step::More`]; outputs were taken in between.
    fn resume(&mut self, context: &Context, outputs: &mut Outputs) -> Step;

    /// A hash of the whole state: a sum of per-entry hashes kept up to date, cheap to read.
    fn state_hash(&self) -> u64;

    /// The next slice of a snapshot, of bounded size; none after the last. The runner calls it
    /// between records; with stop-the-world snapshots nothing is applied from first to last slice.
    ///
    /// # Errors
    /// When the state cannot be encoded.
    fn snapshot_slice(&self, cursor: &mut Self::Cursor) -> Result<Option<Vec<u8>>, SnapshotError>;

    /// Takes in one slice, in the order in which they were made, into a machine just made by `new`.
    ///
    /// # Errors
    /// When the slice cannot be decoded or contradicts the state.
    fn restore_slice(&mut self, slice: &[u8]) -> Result<(), SnapshotError>;
}

/// The share of `most` that is used, in thousandths, for [`Machine::memory_permille`].
pub fn permille(used: usize, most: i32) -> i64 {
    let most = usize::try_from(most).unwrap_or(1).max(1);
    i64::try_from(used.saturating_mul(1_000) / most).unwrap_or(i64::MAX)
}

/// Whether a machine is done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Done.
    Done,
    /// There is more to do at the same offset: call `resume` once the outputs are taken.
    More,
}

/// The place and time of the record that is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The inbox partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// The append time of the record itself, milliseconds since the epoch: deadlines are compared
    /// with it.
    pub appended_ms: i64,
    /// Machine time: the highest append time so far, milliseconds since the epoch.
    pub now_ms: i64,
}

impl Context {
    /// Machine time in microseconds since the epoch, as messages carry it.
    pub fn now_us(&self) -> i64 {
        self.now_ms * 1_000
    }

    /// Whether a deadline (microseconds since the epoch) had passed when the record was appended.
    pub fn is_past(&self, deadline_us: i64) -> bool {
        deadline_us < self.appended_ms * 1_000
    }
}
