//! Which partitions an apply thread holds: taking up, letting go, starting over, stopping for good.

use std::time::{Duration, Instant};

use brokerx_schemas::Message;

use super::ApplyThread;
use super::held::{Held, Slot, Starting};
use crate::machine::Machine;
use crate::runner::RunnerError;
use crate::runner::board::Standing;
use crate::runner::delivery::Sender;
use crate::runner::opening::{OpenError, open};
use crate::runner::partition::Partition;
use crate::runner::snapshots::SnapshotSchedule;

/// A partition that goes to another process waits this long for acknowledgements: what is not
/// committed then is sent once more by the other, and removed as a duplicate.
const RELEASE_LIMIT: Duration = Duration::from_millis(300);
/// A refusal to start is believed when it has lasted this long: a broker that just came back may show
/// the end of its log late.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(10);

impl<M: Machine> ApplyThread<M> {
    /// Lets go of what is not wanted any more, takes up what is.
    pub(super) fn reconcile(&mut self) {
        let wanted = self.bench.board.wanted(self.bench.thread);
        let held = self.held.iter();
        let unwanted: Vec<i32> = held
            .filter(|(partition, held)| wanted.get(partition) != Some(&held.assignment))
            .map(|(partition, _)| *partition)
            .collect();
        if !unwanted.is_empty() {
            self.release(&unwanted);
        }
        for (partition, assignment) in wanted {
            self.held.entry(partition).or_insert_with(|| {
                self.bench.board.hold(partition);
                Held {
                    assignment,
                    slot: Slot::Starting(Starting::at(Instant::now())),
                }
            });
        }
    }

    /// Mutes partitions, waits a little for what they have in flight, and lets go of them.
    fn release(&mut self, partitions: &[i32]) {
        for partition in partitions {
            self.unassign(*partition);
        }
        self.settle(partitions, Instant::now() + RELEASE_LIMIT);
        for partition in partitions {
            if let Some(Held {
                slot: Slot::Running(life),
                ..
            }) = self.held.remove(partition)
            {
                life.report_progress(&self.bench.board);
                self.lives.remove(&life.life());
            }
            self.metrics.remove_partition(*partition);
            self.bench.board.release(*partition);
            tracing::info!(machine = M::NAME, partition, "partition released");
        }
    }

    /// Opens one partition whose time has come; the others get their turn in between.
    pub(super) fn start_one(&mut self) {
        let now = Instant::now();
        let due = self.held.iter_mut().find_map(|(partition, held)| match &mut held.slot {
            Slot::Starting(starting) if starting.retry_at <= now => Some((*partition, held.assignment, starting)),
            _ => None,
        });
        let Some((partition, assignment, starting)) = due else {
            return;
        };
        let bench = &self.bench;
        // What was passed before it came here must be passed here too.
        let passes = bench.passes.refresh(bench.sender.client());
        let opened = passes
            .map_err(|error| OpenError::Away(format!("{error:#}")))
            .and_then(|()| {
                bench.beat();
                open::<M>(
                    partition,
                    bench.sender.client(),
                    &self.consumer,
                    &self.snapshots,
                    || bench.beat(),
                )
            });
        let error = match opened {
            Ok(opening) => {
                self.last_life = self.last_life.wrapping_add(1);
                self.lives.insert(self.last_life, partition);
                let schedule = SnapshotSchedule::new(
                    Duration::from_secs(self.options.snapshot_interval_seconds),
                    self.options.snapshot_records_max,
                    partition,
                    opening.fold.position(),
                    now,
                );
                let metrics = (self.metrics.partition(partition), self.metrics.clone());
                let life = Partition::new(opening, partition, (assignment, self.last_life), schedule, metrics);
                let read_from = life.read_from();
                let slot = Slot::Running(Box::new(life));
                self.held.insert(partition, Held { assignment, slot });
                self.assign(partition, read_from);
                return;
            }
            Err(error) => error,
        };
        let reason = match error {
            OpenError::Refused(reason) if starting.refused(Instant::now()) >= REFUSAL_PATIENCE => {
                return self.stop_partition(partition, &reason);
            }
            OpenError::Refused(reason) => reason,
            OpenError::Away(reason) => {
                starting.away();
                reason
            }
        };
        starting.retry_at = Instant::now() + starting.backoff.next();
        tracing::warn!(machine = M::NAME, partition, reason, "a partition cannot start yet");
        bench.board.set_standing(partition, Standing::Starting(reason));
    }

    /// A send failed: every partition of this thread starts over with a new producer, from snapshot
    /// and committed offset.
    pub(super) fn start_over(&mut self, reason: &str) -> Result<(), RunnerError> {
        let pause = self.restarts.pause(Instant::now());
        self.metrics.restarts.inc();
        tracing::error!(
            machine = M::NAME,
            reason,
            ?pause,
            "all partitions of a thread start over"
        );
        let running = self
            .held
            .iter()
            .filter(|(_, held)| matches!(held.slot, Slot::Running(_)));
        for partition in running.map(|(partition, _)| *partition).collect::<Vec<_>>() {
            self.unassign(partition);
            if let Some(held) = self.held.get_mut(&partition) {
                held.slot = Slot::Starting(Starting::at(Instant::now() + pause));
            }
            self.bench
                .board
                .set_standing(partition, Standing::Starting(format!("starts over: {reason}")));
        }
        self.lives.clear();
        self.bench.sender = Sender::new(&self.platform, self.metrics.send_to_ack.clone())?;
        self.bench.delivered.clear();
        Ok(())
    }

    /// The partition cannot go on; the others do. It is not restarted: the same record would stop it
    /// again. What it had acknowledged stays committed.
    pub(super) fn stop_partition(&mut self, partition: i32, reason: &str) {
        self.unassign(partition);
        if let Some(held) = self.held.get_mut(&partition) {
            if let Slot::Running(life) = &held.slot {
                self.lives.remove(&life.life());
            }
            held.slot = Slot::Stopped;
        }
        self.metrics.faults.inc();
        self.metrics.partition(partition).stopped.set(1);
        self.bench
            .board
            .set_standing(partition, Standing::Stopped(reason.to_owned()));
        tracing::error!(
            machine = M::NAME,
            topic = M::Input::TOPIC,
            partition,
            reason,
            "partition stopped; it waits for an operator"
        );
    }
}
