//! What is counted of the topics that a process reads: `brokerx_reader_*`, by topic.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use crate::service::{Metrics, TopicLabel, latency, since};

/// The metrics of all readers of a process; every clone counts into the same.
#[derive(Clone, Debug)]
pub struct ReadMetrics {
    applied: Family<TopicLabel, Counter>,
    duplicate: Family<TopicLabel, Counter>,
    behind_hole: Family<TopicLabel, Counter>,
    left_out: Family<TopicLabel, Counter>,
    blocked: Family<TopicLabel, Gauge>,
    lag: Family<TopicLabel, Histogram>,
}

impl ReadMetrics {
    /// Registers them.
    pub fn new(registry: &mut Metrics) -> Self {
        let metrics = Self {
            applied: Family::default(),
            duplicate: Family::default(),
            behind_hole: Family::default(),
            left_out: Family::default(),
            blocked: Family::default(),
            lag: Family::new_with_constructor(latency),
        };
        let registry = registry.sub_registry_with_prefix("reader");
        for (name, help, family) in [
            ("records_applied", "Records handed on", &metrics.applied),
            ("records_duplicate", "Records read twice", &metrics.duplicate),
            (
                "records_behind_hole",
                "Records behind a hole of their source",
                &metrics.behind_hole,
            ),
            (
                "records_left_out",
                "Records that nobody wrote who writes the topic",
                &metrics.left_out,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register(
            "blocked",
            "1 while a record waits for a schema, and all behind it",
            metrics.blocked.clone(),
        );
        registry.register_with_unit(
            "lag",
            "From what a record tells of (the worker's time) to its reading",
            Unit::Seconds,
            metrics.lag.clone(),
        );
        metrics
    }

    /// Measures how late a record of what happened at `occurred_us` was read.
    pub fn lag(&self, topic: &'static str, occurred_us: i64) {
        self.lag
            .get_or_create(&TopicLabel { topic })
            .observe(since(occurred_us).as_secs_f64());
    }

    /// Whether a record waits for a schema; true when that is news.
    pub(super) fn blocked(&self, topic: &'static str, is_blocked: bool) -> bool {
        let value = i64::from(is_blocked);
        self.blocked.get_or_create(&TopicLabel { topic }).set(value) != value
    }

    pub(super) fn applied(&self, topic: &'static str) {
        self.applied.get_or_create(&TopicLabel { topic }).inc();
    }

    pub(super) fn duplicate(&self, topic: &'static str) {
        self.duplicate.get_or_create(&TopicLabel { topic }).inc();
    }

    pub(super) fn behind_hole(&self, topic: &'static str) {
        self.behind_hole.get_or_create(&TopicLabel { topic }).inc();
    }

    pub(super) fn left_out(&self, topic: &'static str) {
        self.left_out.get_or_create(&TopicLabel { topic }).inc();
    }
}
