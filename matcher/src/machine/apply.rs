//! The machine as the runner drives it: it takes in a record and does the work that follows.

use brokerx_schemas::{BookCommand, Config};
use brokerx_topics::machine::{Context, LOGIC_VERSION, Machine, Outputs, Setup, SnapshotError, Step, permille};
use xxhash_rust::xxh3::xxh3_64;

use super::instruments::Action;
use super::publish::Publisher;
use super::snapshot::Cursor;
use super::state::Matcher;
use super::work::Work;

impl Machine for Matcher {
    type Input = BookCommand;
    type Cursor = Cursor;

    const NAME: &'static str = "matcher";
    const LOGIC_VERSION_MAX: i32 = LOGIC_VERSION;

    fn new(setup: &Setup) -> Self {
        Self::empty(setup)
    }

    fn configure(&mut self, config: &Config, logic_version: i32) {
        self.config = config.clone();
        self.logic_version = logic_version;
    }

    fn apply(&mut self, context: &Context, input: BookCommand, outputs: &mut Outputs) -> Step {
        match input {
            BookCommand::NewOrder(_) | BookCommand::ReplaceBookOrder(_) | BookCommand::CancelBookOrder(_) => {
                self.remember(&input);
            }
            _ => {}
        }
        match input {
            BookCommand::NewOrder(order) => self.new_order(context, &order, outputs),
            BookCommand::ReplaceBookOrder(replace) => self.replace_order(context, &replace, outputs),
            BookCommand::CancelBookOrder(cancel) => self.cancel_order(context, &cancel, outputs),
            BookCommand::ListInstrument(command) => self.list(context, command, outputs),
            BookCommand::HaltInstrument(command) => self.operate(context, Action::Halt, command, outputs),
            BookCommand::ResumeInstrument(command) => self.operate(context, Action::Resume, command, outputs),
            BookCommand::DelistInstrument(command) => self.operate(context, Action::Delist, command, outputs),
            BookCommand::OpenSession(command) => self.operate(context, Action::Open, command, outputs),
            BookCommand::CloseSession(command) => self.operate(context, Action::Close, command, outputs),
            // The fold keeps these to itself.
            BookCommand::Genesis(_) | BookCommand::Config(_) | BookCommand::Tick(_) | BookCommand::Unknown => {}
        }
        self.work(context, outputs)
    }

    fn tick(&mut self, context: &Context, second: i64, outputs: &mut Outputs) -> Step {
        self.keys.forget_before(
            context
                .now_ms
                .saturating_sub(self.config.closed_key_seconds.saturating_mul(1_000)),
        );
        // A delisted instrument is in no snapshot any more: nobody is to wait for it.
        let listed = self
            .listings
            .iter()
            .filter(|listing| !listing.standing.delisted)
            .count();
        Publisher::new(&self.routes, context, outputs).heartbeat(second, listed);
        // A late tick also writes what was due in the seconds that it skipped.
        let cycle = i64::from(self.config.snapshot_cycle_seconds.max(1));
        let elapsed = second.saturating_sub(self.last_tick_second).clamp(1, cycle) as usize;
        self.last_tick_second = second;
        let count = self.listings.len();
        let due = count.saturating_mul(elapsed).div_ceil(cycle as usize).min(count);
        // The last to be pushed is the first to be done.
        self.work.push(Work::Snapshots { due });
        self.follow_calendar(context);
        self.work.push(Work::Candles);
        self.work(context, outputs)
    }

    fn memory_permille(&self) -> i64 {
        permille(self.keys.len(), self.config.closed_keys_per_partition_max)
    }

    fn resume(&mut self, context: &Context, outputs: &mut Outputs) -> Step {
        self.work(context, outputs)
    }

    fn state_hash(&self) -> u64 {
        let mut bytes = [0; 33];
        bytes[..8].copy_from_slice(&self.trades.to_le_bytes());
        bytes[8..16].copy_from_slice(&(self.snapshot_next as u64).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.last_tick_second.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.day_closed.map_or(i64::MIN, i64::from).to_le_bytes());
        bytes[32] = u8::from(self.calendar_open);
        self.listings_hash
            .wrapping_add(self.keys.hash())
            .wrapping_add(xxh3_64(&bytes))
    }

    fn snapshot_slice(&self, cursor: &mut Cursor) -> Result<Option<Vec<u8>>, SnapshotError> {
        self.next_slice(cursor)
    }

    fn restore_slice(&mut self, slice: &[u8]) -> Result<(), SnapshotError> {
        self.take_slice(slice)
    }
}
