//! The life of one partition: from a snapshot through its records to its end.
//!
//! A life ends when the partition goes to another process, when a send fails (then the next life
//! starts over from a snapshot), or when the partition stops.

mod saving;
mod saving_state;
mod upkeep;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use brokerx_schemas::Message;
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use super::clock::Clock;
use super::delivery::Tag;
use super::metrics::{PartitionMetrics, RunnerMetrics};
use super::native::leader_epoch;
use super::opening::{Opening, Verification, check_partition_counts};
use super::record::{UnknownSchema, trace};
use super::schema_wait::SchemaWait;
use super::snapshots::SnapshotSchedule;
use super::survey::Between;
use super::workbench::{Interruption, Workbench, dispatch, guarded};
use crate::headers::{Trace, WorkerHeaders};
use crate::machine::{Driver, Emission, Machine};
use crate::passes::{Word, from_the_future};
use crate::service::HeldUp;
use crate::service::clock::now_us;
use crate::wire::Record;
use saving_state::Saving;

/// One life of a partition.
pub struct Partition<M: Machine> {
    number: i32,
    assignment: u64,
    life: u16,
    /// Names this inbox partition in the outputs' headers.
    source: String,
    driver: Driver<M>,
    emit_from: i64,
    high_at_open: i64,
    /// The record that must come first.
    verification: Option<Verification>,
    /// The cluster's partition counts, until the genesis comes with which they are compared.
    partition_counts: Option<BTreeMap<String, i32>>,
    /// The leader epoch of the record at `position - 1`.
    leader_epoch: i32,
    /// Where records were found to be missing once.
    gap_at: Option<i64>,
    /// The offset before which nothing is a record, from the position on.
    clear_until: Option<i64>,
    /// Whether a record came since it was assigned, so that the client's position is one of this reading. Where nothing
    /// was applied before, none need ever come: a log may have nothing but markers of transactions.
    is_reading: bool,
    live: bool,
    held_up: HeldUp,
    clock: Clock,
    schema_wait: Option<SchemaWait>,
    /// The offset of the last record that was looked at. What stands between the position and it is no record: markers
    /// of transactions, and what was aborted.
    unread_at: i64,
    /// When a record that was ahead of the clock is looked at again.
    ahead_until: Option<Instant>,
    /// The last record that was ahead of the clock.
    ahead_at: Option<i64>,
    saving: Saving,
    metrics: PartitionMetrics,
    runner_metrics: RunnerMetrics,
}

impl<M: Machine> Partition<M> {
    /// Begins a life.
    pub fn new(
        opening: Opening<M>,
        number: i32,
        (assignment, life): (u64, u16),
        schedule: SnapshotSchedule,
        metrics: (PartitionMetrics, RunnerMetrics),
    ) -> Self {
        let (metrics, runner_metrics) = metrics;
        metrics.starts.inc();
        metrics.stopped.set(0);
        metrics.blocked.set(0);
        metrics.denied.set(0);
        Self {
            number,
            assignment,
            life,
            source: format!("{}-{number}", M::Input::TOPIC),
            driver: Driver::new(opening.fold, opening.emit_from),
            emit_from: opening.emit_from,
            high_at_open: opening.high,
            leader_epoch: opening.verification.map_or(-1, |record| record.leader_epoch),
            is_reading: opening.verification.is_none(),
            verification: opening.verification,
            partition_counts: Some(opening.partition_counts),
            gap_at: None,
            clear_until: None,
            live: false,
            held_up: HeldUp::default(),
            clock: Clock::default(),
            schema_wait: None,
            unread_at: -1,
            ahead_until: None,
            ahead_at: None,
            saving: Saving::new(schedule),
            metrics,
            runner_metrics,
        }
    }

    /// The tag that its records carry.
    pub fn life(&self) -> u16 {
        self.life
    }

    /// The offset to read next.
    pub fn read_from(&self) -> i64 {
        self.verification.map_or(self.driver.position(), |record| record.offset)
    }

    /// Takes the next record: applies it and sends what it causes.
    ///
    /// # Errors
    /// When the partition cannot go on. After [`Interruption::SendFailed`] and
    /// [`Interruption::Stopped`] this life is over.
    pub fn take(&mut self, message: &BorrowedMessage<'_>, bench: &mut Workbench) -> Result<(), Interruption> {
        let (offset, expected) = (message.offset(), self.read_from());
        if offset < expected || self.is_blocked() {
            // Fetched before the partition was assigned anew.
            return Ok(());
        }
        if offset > expected && !self.may_go_on_at(offset, expected, bench) {
            self.is_reading = false;
            return Err(Interruption::ReadAgain);
        }
        if let Some(verification) = self.verification {
            return self.verify(verification, message, bench);
        }
        let appended_ms = message.timestamp().to_millis();
        if let Some((appended_ms, why)) = ahead(appended_ms, wall_ms(), bench.ahead_ms_max)
            && !bench.passes.accepts(M::Input::TOPIC, self.number, appended_ms)
        {
            // Once: a record that waits for its time says nothing of how the clocks are meanwhile.
            if self.ahead_at.replace(offset) != Some(offset) {
                bench.clock.read(appended_ms);
            }
            let hint = from_the_future(M::Input::TOPIC, self.number, appended_ms);
            return Err(Interruption::Ahead(format!("offset {offset}: {why}; {hint}")));
        }
        self.unread_at = offset;
        let record = match bench.passes.word(M::Input::TOPIC, self.number, offset) {
            Word::Passed(passed) => bench.reader.passed(message, &passed.reason),
            Word::Use => bench
                .reader
                .read(&bench.codec, message)
                .map_err(Interruption::UnknownSchema)?,
            Word::Undecided { schema_id, .. } => {
                return Err(Interruption::UnknownSchema(UnknownSchema {
                    schema_id,
                    is_of_client: false,
                    is_of_decision: true,
                }));
            }
        };
        if self.clear_until == Some(offset) {
            self.metrics
                .offsets_passed_over
                .inc_by((offset - expected).unsigned_abs());
            self.driver.pass_over(offset);
        }
        let appended_ms = record.appended_ms;
        let started = Instant::now();
        let applied = guarded(offset, || self.driver.feed(record, &mut bench.emissions))?
            .map_err(|fault| Interruption::Stopped(fault.to_string()))?;
        let mut spent = started.elapsed();
        self.leader_epoch = leader_epoch(message);
        self.is_reading = true;
        self.check_partition_counts()?;
        if !bench.emissions.is_empty() || self.driver.has_more() {
            let trace = trace(message);
            self.send(&trace, bench)?;
            while self.driver.has_more() {
                bench.collect(Duration::ZERO)?;
                let started = Instant::now();
                guarded(offset, || self.driver.resume(&mut bench.emissions))?;
                spent += started.elapsed();
                self.send(&trace, bench)?;
            }
        }
        self.metrics.count(applied);
        self.runner_metrics.apply.observe(spent.as_secs_f64());
        if offset >= self.emit_from {
            if self.live {
                bench.clock.read(appended_ms);
            }
            let since_append_ms = (wall_ms() - appended_ms).max(0);
            self.runner_metrics
                .append_to_apply
                .observe(since_append_ms as f64 / 1_000.0);
        }
        Ok(())
    }

    /// Whether the record at `offset` may be taken although `expected` should have come: when nothing in
    /// between is a record, or when records are missing for certain, which is the fold's to say. That is
    /// not believed at once: the fold stops for good.
    fn may_go_on_at(&mut self, offset: i64, expected: i64, bench: &mut Workbench) -> bool {
        // The record before a snapshot must be there itself.
        if self.verification.is_none() && self.clear_until != Some(offset) {
            match bench.survey(M::Input::TOPIC, self.number, (expected, offset)) {
                Between::NoRecord => {
                    self.clear_until = Some(offset);
                    return true;
                }
                Between::Unanswered(reason) => {
                    tracing::warn!(
                        machine = M::NAME,
                        partition = self.number,
                        offset,
                        expected,
                        reason,
                        "what stands between two records is not known yet"
                    );
                    return false;
                }
                Between::Missing(_) => {}
            }
        }
        self.clear_until == Some(offset) || self.gap_at.replace(expected) == Some(expected)
    }

    /// Compares the record before the snapshot's position with what the snapshot says of it.
    fn verify(
        &mut self,
        expected: Verification,
        message: &BorrowedMessage<'_>,
        bench: &mut Workbench,
    ) -> Result<(), Interruption> {
        let found = Verification {
            offset: message.offset(),
            digest: bench.reader.digest(message),
            leader_epoch: leader_epoch(message),
        };
        let epochs_known = found.leader_epoch >= 0 && expected.leader_epoch >= 0;
        let same_epoch = !epochs_known || found.leader_epoch == expected.leader_epoch;
        if (found.offset, found.digest) != (expected.offset, expected.digest) || !same_epoch {
            return Err(Interruption::Stopped(format!(
                "the log is not the one that the snapshot at {} was taken of: expected {expected:?}, found {found:?}",
                expected.offset + 1
            )));
        }
        self.verification = None;
        self.is_reading = true;
        self.check_partition_counts()
    }

    fn check_partition_counts(&mut self) -> Result<(), Interruption> {
        let fold = self.driver.fold();
        match (fold.machine(), &self.partition_counts) {
            (Some(_), Some(counts)) => {
                check_partition_counts(&fold.state().setup, counts).map_err(Interruption::Stopped)?;
                self.partition_counts = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn send(&self, trace: &Trace, bench: &mut Workbench) -> Result<(), Interruption> {
        let Workbench {
            thread,
            board,
            codec,
            sender,
            emissions,
            value,
            ..
        } = bench;
        for Emission {
            output,
            seq,
            cause_offset,
        } in emissions.drain(..)
        {
            value.clear();
            codec
                .encode_any(&output.message, value)
                .map_err(|error| Interruption::Stopped(format!("offset {cause_offset}: {error}")))?;
            let headers = WorkerHeaders::new(seq, cause_offset);
            let headers: Vec<_> = headers.with(&self.source, trace).collect();
            let record = Record {
                topic: output.message.topic(),
                partition: output.partition,
                key: Some(&output.key),
                value,
                headers: &headers,
            };
            dispatch(sender, Tag::output(self.life, cause_offset), record, board, *thread)?;
            self.metrics.outputs.inc();
        }
        Ok(())
    }

    /// One of its sends was acknowledged.
    pub fn acknowledge(&mut self, tag: Tag) {
        match tag.offset() {
            Some(offset) => self.driver.acknowledge(offset),
            None => self.clock.acknowledged(),
        }
    }

    /// Whether it waits for a schema or for the clock, unread.
    pub fn is_blocked(&self) -> bool {
        self.schema_wait.is_some() || self.ahead_until.is_some()
    }

    /// Whether it has caught up with its log and waits for nothing but records.
    pub fn is_live(&self) -> bool {
        self.live && !self.is_blocked()
    }

    /// Whether everything that was applied is acknowledged.
    pub fn is_settled(&self) -> bool {
        self.driver.may_snapshot()
    }
}

/// When a record was appended that must not be applied yet, and why: that is later than this machine's clock says.
fn ahead(appended_ms: Option<i64>, wall_ms: i64, ahead_ms_max: i64) -> Option<(i64, String)> {
    let appended_ms = appended_ms?;
    let ahead_ms = appended_ms.saturating_sub(wall_ms);
    (ahead_ms > ahead_ms_max).then(|| {
        let seconds = ahead_ms / 1_000;
        let why = "ahead of this machine's clock: one of both clocks is or was wrong";
        (appended_ms, format!("it was appended {seconds} s {why}"))
    })
}

/// The wall clock, milliseconds since the epoch. Only the clock's ticks and metrics depend on it.
pub fn wall_ms() -> i64 {
    now_us() / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_the_future_waits() {
        for (appended_ms, waits) in [
            (None, false),
            (Some(0), false),
            (Some(1_010_000), false),
            (Some(1_010_001), true),
            (Some(i64::MAX), true),
        ] {
            assert_eq!(
                ahead(appended_ms, 1_000_000, 10_000).is_some(),
                waits,
                "{appended_ms:?}"
            );
        }
    }
}
