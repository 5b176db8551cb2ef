//! Nothing is committed or snapshotted ahead of acknowledged outputs; without I/O.

use std::collections::VecDeque;

use super::{Applied, Emission, Fault, Fold, Machine, Record};

/// Drives a [`Fold`]: keeps silent what was emitted in an earlier life, and tracks which outputs
/// are acknowledged.
///
/// The caller feeds records in offset order, sends the emissions it gets, reports each
/// acknowledgement with [`Driver::acknowledge`], and commits or snapshots only at
/// [`Driver::committable`]. A send that fails is not reported here: the caller throws the driver
/// away and starts over from a snapshot and the committed position.
#[derive(Debug)]
pub struct Driver<M: Machine> {
    fold: Fold<M>,
    /// Outputs of records below this offset were acknowledged in an earlier life: they stay silent.
    emit_from: i64,
    /// Records with outputs that are not all acknowledged, by offset.
    in_flight: VecDeque<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    offset: i64,
    unacknowledged: usize,
}

impl<M: Machine> Driver<M> {
    /// A driver that stays silent below `emit_from`: the later of the snapshot's position and the
    /// group's committed offset.
    pub fn new(fold: Fold<M>, emit_from: i64) -> Self {
        Self {
            fold,
            emit_from,
            in_flight: VecDeque::new(),
        }
    }

    /// The fold that is driven.
    pub fn fold(&self) -> &Fold<M> {
        &self.fold
    }

    /// The next offset to feed.
    pub fn position(&self) -> i64 {
        self.fold.position()
    }

    /// As [`Fold::pass_over`].
    ///
    /// # Panics
    /// When `offset` is behind the position, or a record is unfinished.
    pub fn pass_over(&mut self, offset: i64) {
        self.fold.pass_over(offset);
    }

    /// Applies a record; what must be sent is appended to `emissions`.
    ///
    /// # Errors
    /// When the partition cannot go on.
    pub fn feed(&mut self, record: Record<M::Input>, emissions: &mut Vec<Emission>) -> Result<Applied, Fault> {
        let offset = record.offset;
        let before = emissions.len();
        let applied = self.fold.apply(record, emissions)?;
        self.track(offset, before, emissions);
        Ok(applied)
    }

    /// Whether the last record has more to do; then [`Driver::resume`] comes before the next record.
    pub fn has_more(&self) -> bool {
        !self.fold.is_between_records()
    }

    /// Goes on with an unfinished record.
    pub fn resume(&mut self, emissions: &mut Vec<Emission>) {
        let before = emissions.len();
        self.fold.resume(emissions);
        self.track(self.fold.position() - 1, before, emissions);
    }

    fn track(&mut self, offset: i64, before: usize, emissions: &mut Vec<Emission>) {
        if offset < self.emit_from {
            emissions.truncate(before);
            return;
        }
        let count = emissions.len() - before;
        match self.in_flight.back_mut() {
            Some(last) if last.offset == offset => last.unacknowledged += count,
            _ if count > 0 => self.in_flight.push_back(InFlight {
                offset,
                unacknowledged: count,
            }),
            _ => {}
        }
        self.forget_acknowledged();
    }

    /// One output of the record at `offset` is acknowledged by the destination's leader.
    ///
    /// # Panics
    /// When no output of that record is in flight: a report was counted twice.
    pub fn acknowledge(&mut self, offset: i64) {
        let index = self
            .in_flight
            .binary_search_by_key(&offset, |entry| entry.offset)
            .expect("an acknowledgement belongs to a record in flight");
        let entry = &mut self.in_flight[index];
        entry.unacknowledged = entry
            .unacknowledged
            .checked_sub(1)
            .expect("no more acknowledgements than outputs");
        self.forget_acknowledged();
    }

    fn forget_acknowledged(&mut self) {
        while self.in_flight.front().is_some_and(|front| front.unacknowledged == 0) {
            // The record that is being resumed may still send more.
            if self.has_more() && self.in_flight.len() == 1 {
                break;
            }
            self.in_flight.pop_front();
        }
    }

    /// Outputs in flight belong to this many records.
    pub fn records_in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The offset that may be committed: every output of every record below it is acknowledged.
    pub fn committable(&self) -> i64 {
        if !self.fold.discipline().wait_for_acknowledgement {
            return self.position();
        }
        match self.in_flight.front() {
            Some(front) => front.offset,
            None if self.has_more() => self.position() - 1,
            None => self.position(),
        }
    }

    /// Whether a snapshot at [`Driver::position`] may be published now.
    pub fn may_snapshot(&self) -> bool {
        !self.has_more() && self.committable() == self.position()
    }

    /// Gives the fold back.
    pub fn into_fold(self) -> Fold<M> {
        self.fold
    }
}
