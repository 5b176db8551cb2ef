//! Partitions of `auth` whose next record cannot be read for now: everything behind it waits.

use std::collections::{BTreeMap, BTreeSet};

use brokerx_topics::codec::DecodeError;

/// A record that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stuck {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) reason: String,
    /// Whether it takes a person to end it: the registry does not know its schema, and nobody decided to pass it.
    pub(super) alarm: bool,
}

impl Stuck {
    /// The record at this place, which could not be read for this reason.
    pub(super) fn new(partition: i32, offset: i64, error: &anyhow::Error) -> Self {
        Self {
            partition,
            offset,
            reason: format!("{error:#}"),
            alarm: matches!(error.downcast_ref(), Some(DecodeError::DeniedSchema(_))),
        }
    }

    fn tell(&self) {
        let Self {
            partition,
            offset,
            reason,
            alarm,
        } = self;
        if *alarm {
            tracing::error!(
                partition,
                offset,
                reason,
                "a record of auth waits, and it takes a person to end it"
            );
        } else {
            tracing::warn!(partition, offset, reason, "a record of auth waits");
        }
    }
}

/// Those of all partitions.
#[derive(Debug, Default)]
pub(super) struct StuckRecords(BTreeMap<i32, Stuck>);

impl StuckRecords {
    /// A record could not be read; people are told once. Whether it is a new one, or has come to need a person.
    pub(super) fn add(&mut self, stuck: Stuck) -> bool {
        let known = self.0.get(&stuck.partition);
        let is_new = known.is_none_or(|known| (known.offset, known.alarm) != (stuck.offset, stuck.alarm));
        if is_new {
            stuck.tell();
        }
        self.0.insert(stuck.partition, stuck);
        is_new
    }

    /// A record of a partition was read.
    pub(super) fn read_on(&mut self, partition: i32) {
        self.0.remove(&partition);
    }

    /// Leaves those to somebody else that are not among these.
    pub(super) fn keep(&mut self, assigned: &BTreeSet<i32>) {
        self.0.retain(|partition, _| assigned.contains(partition));
    }

    /// One, first of those that take a person.
    pub(super) fn worst(&self) -> Option<&Stuck> {
        self.0.values().max_by_key(|stuck| stuck.alarm)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn stuck(partition: i32, offset: i64, error: DecodeError) -> Stuck {
        let error = Err::<(), _>(error).context("how to pass it").unwrap_err();
        Stuck::new(partition, offset, &error)
    }

    #[test]
    fn a_schema_that_nobody_knows_takes_a_person_and_a_registry_that_is_away_does_not() {
        let mut records = StuckRecords::default();
        assert!(records.add(stuck(0, 7, DecodeError::UnknownSchema(5))));
        assert!(!records.worst().unwrap().alarm);
        assert!(!records.add(stuck(0, 7, DecodeError::UnknownSchema(5))), "told once");
        assert!(records.add(stuck(0, 7, DecodeError::DeniedSchema(5))));
        let worst = records.worst().unwrap();
        assert!(worst.alarm && worst.reason.starts_with("how to pass it: "), "{worst:?}");
        let no_schema = anyhow::anyhow!("Kafka does not say who decided");
        assert!(!Stuck::new(0, 7, &no_schema).alarm);
    }

    #[test]
    fn a_partition_waits_until_its_own_record_is_read_or_it_is_gone() {
        let mut records = StuckRecords::default();
        records.add(stuck(0, 7, DecodeError::DeniedSchema(5)));
        records.add(stuck(1, 3, DecodeError::UnknownSchema(5)));
        records.read_on(2);
        assert_eq!(records.worst().unwrap().partition, 0);
        records.read_on(0);
        assert_eq!(records.worst().unwrap().partition, 1);
        records.keep(&BTreeSet::from([0, 2]));
        assert_eq!(records.worst(), None);
    }
}
