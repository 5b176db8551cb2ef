//! The thread that reads, applies and sends: all work on its partitions happens here.

mod held;
mod holding;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::time::{Duration, Instant};

use brokerx_schemas::Message;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use tokio::runtime::Handle;

use super::metrics::RunnerMetrics;
use super::partition::wall_ms;
use super::snapshots::SnapshotStore;
use super::workbench::{Interruption, Workbench};
use super::{RunnerError, RunnerOptions};
use crate::machine::Machine;
use crate::service::{Drained, Gathering, PlatformOptions, high_watermark, kafka};
use held::Slot;
pub use held::{Held, Restarts};

/// How long a thread waits for a record while something else is due soon. Acknowledgements, which only
/// commits wait for, wait as long.
const SHORT_WAIT: Duration = Duration::from_millis(10);
/// How long an idle thread waits for a record, at most to the end of the second. What else may come,
/// a partition or the time to stop, waits as long.
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// Records between two looks at deliveries, commands and the clock.
const BATCH: usize = 256;
/// Between two rounds of housekeeping.
const HOUSEKEEPING: Duration = Duration::from_millis(20);
/// A snapshot waits this long for acknowledgements before it is put off.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);

/// What an apply thread is made of.
pub struct ApplyThread<M: Machine> {
    /// Reads by `assign()`; a member of no group.
    pub consumer: Drained,
    /// Its settings.
    pub reader: ClientConfig,
    /// When it gathers; none when it never does.
    pub gathering: Option<Gathering>,
    /// What its partitions share.
    pub bench: Workbench,
    /// Where snapshots are.
    pub snapshots: SnapshotStore,
    /// Runs requests to the schema registry.
    pub runtime: Handle,
    /// Where Kafka is, for a new producer.
    pub platform: PlatformOptions,
    /// The runner's options.
    pub options: RunnerOptions,
    /// The machine's metrics.
    pub metrics: RunnerMetrics,
    /// The partitions that it holds.
    pub held: BTreeMap<i32, Held<M>>,
    /// Which partition a life is of.
    pub lives: BTreeMap<u16, i32>,
    /// The last life that was begun.
    pub last_life: u16,
    /// Pauses between restarts.
    pub restarts: Restarts,
}

/// The settings of a consumer that reads by `assign()` at explicit offsets. It names the group to
/// ask for its committed offsets and never joins it.
pub fn reader_config(platform: &PlatformOptions, group: &str) -> ClientConfig {
    let mut config = kafka::consumer_config(platform, group);
    config
        // Every position is explicit; one that the log does not have is an error, never "latest".
        .set("auto.offset.reset", "error")
        // A newly assigned partition waits for the answer to the fetch before it at most this long.
        .set("fetch.wait.max.ms", "500");
    config
}

impl<M: Machine> ApplyThread<M> {
    const TOPIC: &'static str = <M::Input as Message>::TOPIC;

    /// Runs until the runner stops.
    ///
    /// # Errors
    /// When no producer can be made.
    pub fn run(mut self) -> Result<(), RunnerError> {
        let inbox = CString::new(Self::TOPIC).map_err(|error| RunnerError::Kafka(error.to_string()))?;
        let mut board_version = 0;
        let mut housekeeping_at = Instant::now();
        loop {
            self.bench.beat();
            if let Some(deadline) = self.bench.board.stop_at() {
                self.stop(deadline);
                return Ok(());
            }
            let version = self.bench.board.version();
            if version != board_version {
                board_version = version;
                self.reconcile();
            }
            self.start_one();
            self.gather()?;
            let outcome = self.read();
            self.handle(outcome)?;
            let outcome = self
                .collect(Duration::ZERO)
                .map_err(|interruption| (None, interruption));
            self.handle(outcome)?;
            let now = Instant::now();
            if now >= housekeeping_at {
                housekeeping_at = now + HOUSEKEEPING;
                let outcome = self.housekeep(&inbox);
                self.handle(outcome)?;
            }
        }
    }

    /// Waits until all outputs of these partitions are acknowledged; false when the time is over.
    fn settle(&mut self, partitions: &[i32], deadline: Instant) -> bool {
        loop {
            let settled = partitions.iter().all(|partition| match self.held.get(partition) {
                Some(Held {
                    slot: Slot::Running(life),
                    ..
                }) => life.is_settled(),
                _ => true,
            });
            if settled || Instant::now() >= deadline {
                return settled;
            }
            // A failed send shows itself again to the caller's next look.
            if self.collect(Duration::from_millis(1)).is_err() {
                return false;
            }
        }
    }

    fn assign(&self, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(Self::TOPIC, partition, Offset::Offset(offset));
        if let Err(error) = added.and_then(|()| self.consumer.incremental_assign(&list)) {
            tracing::error!(machine = M::NAME, partition, %error, "a partition cannot be read");
        }
    }

    fn unassign(&self, partition: i32) {
        let mut list = TopicPartitionList::new();
        list.add_partition(Self::TOPIC, partition);
        if let Err(error) = self.consumer.incremental_unassign(&list) {
            // It was not assigned: it had not started, or had stopped.
            tracing::debug!(machine = M::NAME, partition, %error, "nothing to unassign");
        }
    }

    /// Reads with another client when it is time to gather, or not to any more.
    fn gather(&mut self) -> Result<(), RunnerError> {
        let Some(gathering) = &mut self.gathering else {
            return Ok(());
        };
        if gathering.changes(Instant::now()) {
            let config = gathering.settings(self.reader.clone());
            let consumer: Drained = config.create().map_err(|error| RunnerError::Kafka(error.to_string()))?;
            std::mem::replace(&mut self.consumer, consumer).retire();
            for (partition, held) in &self.held {
                if let Slot::Running(life) = &held.slot
                    && !life.is_blocked()
                {
                    self.assign(*partition, life.read_from());
                }
            }
        }
        Ok(())
    }

    /// How long to wait for a record.
    fn wait(&self) -> Duration {
        let is_idle = |held: &Held<M>| match &held.slot {
            Slot::Running(life) => life.is_live() && life.is_settled(),
            Slot::Starting(_) => false,
            Slot::Stopped => true,
        };
        if self.bench.sender.in_flight() > 0 || !self.held.values().all(is_idle) {
            return SHORT_WAIT;
        }
        // Ticks are due when a second begins, and seen to by the housekeeping.
        let into_second_ms = wall_ms().rem_euclid(1_000).unsigned_abs();
        let to_next_second = Duration::from_millis(1_000 - into_second_ms);
        to_next_second.clamp(HOUSEKEEPING, IDLE_WAIT)
    }

    /// Reads a batch, waiting a little for its first record.
    fn read(&mut self) -> Result<(), (Option<i32>, Interruption)> {
        let mut wait = self.wait();
        for _ in 0..BATCH {
            let message = match self.consumer.poll(wait) {
                None => break,
                Some(Err(error)) => {
                    return self.consumer_failed(&error);
                }
                Some(Ok(message)) => message,
            };
            wait = Duration::ZERO;
            self.bench.beat();
            if let Some(gathering) = &mut self.gathering {
                gathering.count();
            }
            let partition = message.partition();
            if let Some(Held {
                slot: Slot::Running(life),
                ..
            }) = self.held.get_mut(&partition)
            {
                life.take(&message, &mut self.bench)
                    .map_err(|interruption| (Some(partition), interruption))?;
            }
        }
        Ok(())
    }

    fn consumer_failed(&self, error: &KafkaError) -> Result<(), (Option<i32>, Interruption)> {
        use rdkafka::error::RDKafkaErrorCode::AutoOffsetReset;
        match error.rdkafka_error_code() {
            // The log does not have a position. The error does not say of which partition: all
            // start over, and the one that cannot is refused.
            Some(AutoOffsetReset) => Err((None, Interruption::SendFailed(error.to_string()))),
            // The broker is away or busy; librdkafka goes on by itself, with back-off.
            _ => {
                tracing::warn!(machine = M::NAME, %error, "reading");
                Ok(())
            }
        }
    }

    /// Takes in delivery reports and hands them to their partitions.
    fn collect(&mut self, wait: Duration) -> Result<(), Interruption> {
        self.bench.collect(wait)?;
        for tag in self.bench.delivered.drain(..) {
            // A life that is over has no use for its reports.
            if let Some(partition) = self.lives.get(&tag.life())
                && let Some(Held {
                    slot: Slot::Running(life),
                    ..
                }) = self.held.get_mut(partition)
            {
                life.acknowledge(tag);
            }
        }
        Ok(())
    }

    fn housekeep(&mut self, inbox: &CString) -> Result<(), (Option<i32>, Interruption)> {
        let mut readable = Vec::new();
        let mut due = None;
        for (partition, held) in &mut self.held {
            let Slot::Running(life) = &mut held.slot else {
                continue;
            };
            let high = high_watermark(&self.consumer, inbox, *partition);
            let read_to = || kafka::position(&self.consumer, Self::TOPIC, *partition).ok().flatten();
            life.housekeep(high, read_to, &mut self.bench)
                .map_err(|interruption| (Some(*partition), interruption))?;
            if life.schema_arrived(&self.bench, &self.runtime) || life.is_time_to_look_again(&self.bench) {
                readable.push((*partition, life.read_from()));
            }
            // One at a time, so that the pauses do not add up.
            if due.is_none() && life.snapshot_is_due() {
                due = Some(*partition);
            }
        }
        for (partition, offset) in readable {
            self.assign(partition, offset);
        }
        if let Some(partition) = due {
            let settled = self.settle(&[partition], Instant::now() + SETTLE_LIMIT);
            self.snapshot(partition, settled)
                .map_err(|interruption| (Some(partition), interruption))?;
        }
        Ok(())
    }

    fn snapshot(&mut self, partition: i32, settled: bool) -> Result<(), Interruption> {
        match self.held.get_mut(&partition).map(|held| &mut held.slot) {
            Some(Slot::Running(life)) if settled => life.snapshot(&self.snapshots, &self.bench),
            Some(Slot::Running(life)) => {
                life.postpone_snapshot();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn handle(&mut self, outcome: Result<(), (Option<i32>, Interruption)>) -> Result<(), RunnerError> {
        let Err((partition, interruption)) = outcome else {
            return Ok(());
        };
        self.bench.emissions.clear();
        match (partition, interruption) {
            // The loop's next look finds the time to stop.
            (_, Interruption::Abandoned) => {}
            (_, Interruption::SendFailed(reason)) => self.start_over(&reason)?,
            (Some(partition), Interruption::Stopped(reason)) => self.stop_partition(partition, &reason),
            (Some(partition), Interruption::ReadAgain) => {
                self.unassign(partition);
                if let Some(Slot::Running(life)) = self.held.get(&partition).map(|held| &held.slot) {
                    self.assign(partition, life.read_from());
                }
            }
            (Some(partition), Interruption::Ahead(why)) => {
                self.unassign(partition);
                if let Some(Slot::Running(life)) = self.held.get_mut(&partition).map(|held| &mut held.slot) {
                    life.wait_for_clock(why, &self.bench);
                }
            }
            (Some(partition), Interruption::UnknownSchema(schema)) => {
                self.unassign(partition);
                if let Some(Slot::Running(life)) = self.held.get_mut(&partition).map(|held| &mut held.slot) {
                    life.wait_for_schema(schema, &self.bench);
                }
            }
            (None, interruption) => unreachable!("{interruption:?} is of a partition"),
        }
        Ok(())
    }

    /// Stops reading, waits for acknowledgements, takes last snapshots.
    fn stop(&mut self, deadline: Instant) {
        let partitions: Vec<i32> = self.held.keys().copied().collect();
        for partition in &partitions {
            self.unassign(*partition);
        }
        if !self.settle(&partitions, deadline) {
            tracing::warn!(
                machine = M::NAME,
                "not everything was acknowledged in time; it is sent once more later"
            );
        }
        for held in self.held.values_mut() {
            let Slot::Running(life) = &mut held.slot else {
                continue;
            };
            life.report_progress(&self.bench.board);
            if life.is_settled()
                && life.snapshot_is_behind()
                && Instant::now() < deadline
                && let Err(interruption) = life.snapshot(&self.snapshots, &self.bench)
            {
                tracing::error!(machine = M::NAME, ?interruption, "no last snapshot");
            }
        }
        let saving = |held: &mut Held<M>| match &mut held.slot {
            Slot::Running(life) => life.is_saving(),
            _ => false,
        };
        while Instant::now() < deadline && self.held.values_mut().any(saving) {
            self.bench.beat();
            std::thread::sleep(Duration::from_millis(2));
        }
        for partition in partitions {
            self.bench.board.release(partition);
        }
    }
}
