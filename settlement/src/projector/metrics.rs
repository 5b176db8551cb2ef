//! What the projector tells about itself.

use std::sync::atomic::AtomicU64;

use brokerx_topics::service::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::batch::LogPartition;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TableLabel {
    table: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TopicLabel {
    topic: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PartitionLabels {
    topic: &'static str,
    partition: i32,
}

impl From<LogPartition> for PartitionLabels {
    fn from((log, partition): LogPartition) -> Self {
        Self {
            topic: log.topic(),
            partition,
        }
    }
}

/// The projector's metrics; every clone counts into the same.
#[derive(Clone, Debug)]
pub(super) struct ProjectorMetrics {
    rows: Family<TableLabel, Counter>,
    records: Family<TopicLabel, Counter>,
    duplicates: Family<TopicLabel, Counter>,
    holes: Family<TopicLabel, Counter>,
    left_out: Family<TopicLabel, Counter>,
    position: Family<PartitionLabels, Gauge>,
    lag: Family<PartitionLabels, Gauge>,
    pub(super) lag_seconds: Gauge<f64, AtomicU64>,
    pub(super) batch_seconds: Histogram,
    pub(super) batch_records: Histogram,
    pub(super) errors: Counter,
    pub(super) open_holes: Gauge,
    pub(super) stopped_partitions: Gauge,
    pub(super) blocked: Gauge,
    pub(super) held_up: Gauge,
    pub(super) owner: Gauge,
    pub(super) set_aside_accounts: Gauge,
    pub(super) set_aside_events: Counter,
    pub(super) set_aside_rows: Gauge,
}

impl ProjectorMetrics {
    pub(super) fn register(metrics: &mut Metrics) -> Self {
        let this = Self {
            rows: Family::default(),
            records: Family::default(),
            duplicates: Family::default(),
            holes: Family::default(),
            left_out: Family::default(),
            position: Family::default(),
            lag: Family::default(),
            lag_seconds: Gauge::default(),
            batch_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            batch_records: Histogram::new(exponential_buckets(1.0, 4.0, 8)),
            errors: Counter::default(),
            open_holes: Gauge::default(),
            stopped_partitions: Gauge::default(),
            blocked: Gauge::default(),
            owner: Gauge::default(),
            set_aside_accounts: Gauge::default(),
            held_up: Gauge::default(),
            set_aside_events: Counter::default(),
            set_aside_rows: Gauge::default(),
        };
        let registry = metrics.sub_registry_with_prefix("projector");
        registry.register("rows", "Rows written, per table", this.rows.clone());
        registry.register("records", "Records projected, per topic", this.records.clone());
        registry.register(
            "duplicates",
            "Records dropped because they were projected before",
            this.duplicates.clone(),
        );
        registry.register(
            "holes",
            "Records dropped because numbers are missing before them",
            this.holes.clone(),
        );
        registry.register(
            "left_out",
            "Records that the worker did not write who alone writes the log, or that no worker wrote and nobody can read",
            this.left_out.clone(),
        );
        registry.register("position", "Next offset to project", this.position.clone());
        registry.register(
            "lag_records",
            "Records in the log that are not projected yet",
            this.lag.clone(),
        );
        registry.register(
            "lag_seconds",
            "Age of the newest record of the last batch when it was committed",
            this.lag_seconds.clone(),
        );
        registry.register(
            "batch_seconds",
            "Time of one database transaction",
            this.batch_seconds.clone(),
        );
        registry.register(
            "batch_records",
            "Records in one database transaction",
            this.batch_records.clone(),
        );
        registry.register(
            "errors",
            "Sessions that ended with an error and were begun again",
            this.errors.clone(),
        );
        registry.register(
            "open_holes",
            "Partitions in which numbers are missing",
            this.open_holes.clone(),
        );
        registry.register(
            "stopped_partitions",
            "Partitions that cannot go on without an operator",
            this.stopped_partitions.clone(),
        );
        registry.register(
            "set_aside_accounts",
            "Accounts whose projection ends before an event that contradicts it",
            this.set_aside_accounts.clone(),
        );
        registry.register(
            "set_aside_events",
            "Events that contradict what is projected, and were not applied",
            this.set_aside_events.clone(),
        );
        registry.register(
            "set_aside_rows",
            "Rows of trades, auth and candles that PostgreSQL refuses for good, and that are missing",
            this.set_aside_rows.clone(),
        );
        registry.register(
            "blocked",
            "1 while a record waits for a schema, and everything behind it",
            this.blocked.clone(),
        );
        registry.register(
            "held_up",
            "Partitions that give nothing out although their logs go on",
            this.held_up.clone(),
        );
        registry.register(
            "owner",
            "1 while this instance is the one that projects",
            this.owner.clone(),
        );
        this
    }

    pub(super) fn wrote(&self, table: &'static str, rows: u64) {
        self.rows.get_or_create(&TableLabel { table }).inc_by(rows);
    }

    pub(super) fn projected(&self, topic: &'static str, records: u64) {
        self.records.get_or_create(&TopicLabel { topic }).inc_by(records);
    }

    pub(super) fn duplicates(&self, topic: &'static str, count: u64) {
        self.duplicates.get_or_create(&TopicLabel { topic }).inc_by(count);
    }

    pub(super) fn hole(&self, topic: &'static str) {
        self.holes.get_or_create(&TopicLabel { topic }).inc();
    }

    pub(super) fn left_out(&self, topic: &'static str) {
        self.left_out.get_or_create(&TopicLabel { topic }).inc();
    }

    pub(super) fn moved_to(&self, partition: LogPartition, position: i64) {
        self.position.get_or_create(&partition.into()).set(position);
    }

    /// The end of a partition as the broker told it last.
    pub(super) fn log_ends_at(&self, partition: LogPartition, end: i64) {
        let labels = partition.into();
        let position = self.position.get_or_create(&labels).get();
        self.lag.get_or_create(&labels).set((end - position).max(0));
    }
}
