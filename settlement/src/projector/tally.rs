//! What a transaction does, to be told once it is committed.

use std::collections::BTreeMap;

use super::batch::Log;
use super::metrics::ProjectorMetrics;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rows: BTreeMap<&'static str, u64>,
    duplicates: BTreeMap<&'static str, u64>,
    /// Events that were set aside.
    pub(super) set_aside_events: u64,
    /// Rows of other records that were.
    pub(super) set_aside_rows: u64,
    /// Accounts that are set aside, when they were counted.
    pub(super) accounts_aside: Option<i64>,
    /// Rows of other records that are, when they were counted.
    pub(super) rows_aside: Option<i64>,
}

impl Tally {
    pub(super) fn wrote(&mut self, table: &'static str, rows: u64) {
        *self.rows.entry(table).or_default() += rows;
    }

    pub(super) fn duplicates(&mut self, log: Log, records: u64) {
        *self.duplicates.entry(log.topic()).or_default() += records;
    }

    pub(super) fn add(&mut self, other: Self) {
        for (table, rows) in other.rows {
            self.wrote(table, rows);
        }
        for (topic, records) in other.duplicates {
            *self.duplicates.entry(topic).or_default() += records;
        }
        self.set_aside_events += other.set_aside_events;
        self.set_aside_rows += other.set_aside_rows;
        self.accounts_aside = other.accounts_aside.or(self.accounts_aside);
        self.rows_aside = other.rows_aside.or(self.rows_aside);
    }

    pub(super) fn tell(self, metrics: &ProjectorMetrics) {
        for (table, rows) in self.rows {
            metrics.wrote(table, rows);
        }
        for (topic, records) in self.duplicates {
            metrics.duplicates(topic, records);
        }
        if self.set_aside_events > 0 {
            tracing::error!(
                events = self.set_aside_events,
                "events contradict what is projected; their accounts are set aside"
            );
            metrics.set_aside_events.inc_by(self.set_aside_events);
        }
        if self.set_aside_rows > 0 {
            tracing::error!(
                rows = self.set_aside_rows,
                "rows are refused for good; they are set aside"
            );
        }
        if let Some(accounts) = self.accounts_aside {
            metrics.set_aside_accounts.set(accounts);
        }
        if let Some(rows) = self.rows_aside {
            metrics.set_aside_rows.set(rows);
        }
    }
}
