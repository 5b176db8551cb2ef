//! The snapshots of a partition.

use std::time::Instant;

use tokio::sync::oneshot;

use super::Partition;
use crate::machine::{Machine, SnapshotError};
use crate::runner::metrics::set_seconds;
use crate::runner::snapshots::{Saved, SnapshotEncoder, SnapshotStore};
use crate::runner::workbench::{Interruption, Workbench, guarded};

impl<M: Machine> Partition<M> {
    /// Whether a snapshot is due.
    pub fn snapshot_is_due(&self) -> bool {
        self.saving.outcome.is_none()
            && self.may_save()
            && self.saving.schedule.is_due(self.driver.position(), Instant::now())
    }

    /// Whether a last snapshot is worthwhile.
    pub fn snapshot_is_behind(&self) -> bool {
        self.saving.outcome.is_none() && self.may_save() && self.saving.schedule.is_behind(self.driver.position())
    }

    /// A state that is not verified, or that folds silently through what an earlier life did, is not saved.
    fn may_save(&self) -> bool {
        self.verification.is_none() && self.driver.position() >= self.emit_from
    }

    /// A snapshot could not be taken: acknowledgements were late.
    pub fn postpone_snapshot(&mut self) {
        self.saving.schedule.postpone(Instant::now());
    }

    /// Takes a snapshot and hands it to the store; only when [`Partition::is_settled`].
    ///
    /// # Errors
    /// When the machine panicked.
    pub fn snapshot(&mut self, store: &SnapshotStore, bench: &Workbench) -> Result<(), Interruption> {
        let (position, started) = (self.driver.position(), Instant::now());
        let encoded = guarded(position, || self.snapshot_bytes(bench))?;
        self.saving.schedule.taken(position, started, Instant::now());
        match encoded {
            Ok(Some(bytes)) => {
                self.metrics.snapshot_size.set(bytes.len() as i64);
                self.saving.outcome = Some(store.save(self.number, position, bytes));
            }
            Ok(None) => {}
            Err(error) => self.snapshot_failed(&error.to_string()),
        }
        set_seconds(&self.metrics.snapshot_pause, started.elapsed());
        Ok(())
    }

    fn snapshot_bytes(&self, bench: &Workbench) -> Result<Option<Vec<u8>>, SnapshotError> {
        let fold = self.driver.fold();
        let Some(machine) = fold.machine() else {
            return Ok(None);
        };
        let mut encoder = SnapshotEncoder::new(M::NAME, self.leader_epoch, fold.snapshot_state())?;
        let mut cursor = M::Cursor::default();
        while let Some(slice) = machine.snapshot_slice(&mut cursor)? {
            encoder.slice(&slice)?;
            bench.beat();
        }
        Ok(Some(encoder.finish()))
    }

    /// Whether a snapshot is on its way to the store.
    pub fn is_saving(&mut self) -> bool {
        self.reap_snapshot(Instant::now());
        self.saving.outcome.is_some()
    }

    pub(super) fn reap_snapshot(&mut self, now: Instant) {
        let Some(outcome) = self.saving.outcome.as_mut().map(oneshot::Receiver::try_recv) else {
            return;
        };
        match outcome {
            Err(oneshot::error::TryRecvError::Empty) => return,
            Ok(Ok(Saved { bytes, took })) => {
                self.saving.saved_at = now;
                set_seconds(&self.metrics.snapshot_save, took);
                tracing::debug!(
                    machine = M::NAME,
                    partition = self.number,
                    bytes,
                    ?took,
                    "snapshot saved"
                );
            }
            Ok(Err(reason)) => self.snapshot_failed(&reason),
            Err(oneshot::error::TryRecvError::Closed) => self.snapshot_failed("the store's thread ended"),
        }
        self.saving.outcome = None;
    }

    fn snapshot_failed(&self, reason: &str) {
        self.metrics.snapshot_failures.inc();
        tracing::error!(
            machine = M::NAME,
            partition = self.number,
            reason,
            "a snapshot could not be saved"
        );
    }
}
