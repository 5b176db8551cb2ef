//! The metrics of the ingress.

use std::sync::atomic::AtomicU64;

use brokerx_topics::service::{Metrics, latency};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

/// The labels of a request; each has only a few values.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The method.
    pub method: String,
    /// The route's pattern, not the path.
    pub route: String,
    /// The status.
    pub status: u16,
}

/// The labels of a latency.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RouteLabels {
    /// The method.
    pub method: String,
    /// The route's pattern.
    pub route: String,
}

/// What is counted about requests.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    /// Requests answered.
    pub requests: Family<RequestLabels, Counter>,
    /// From a request's arrival to its answer, seconds.
    pub request_seconds: Family<RouteLabels, Histogram>,
    /// Requests refused by a rate limit.
    pub rate_limited: Counter,
}

impl HttpMetrics {
    /// Registers the metrics.
    pub fn new(registry: &mut Metrics) -> Self {
        let metrics = Self {
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(latency),
            rate_limited: Counter::default(),
        };
        let registry = registry.sub_registry_with_prefix("ingress");
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register_with_unit(
            "request",
            "From a request's arrival to its answer",
            Unit::Seconds,
            metrics.request_seconds.clone(),
        );
        registry.register(
            "rate_limited",
            "Requests refused by a rate limit",
            metrics.rate_limited.clone(),
        );
        metrics
    }
}

/// What is counted about commands.
#[derive(Clone, Debug)]
pub struct CommandMetrics {
    /// Commands handed to the producer.
    pub sent: Counter,
    /// Commands that Kafka did not acknowledge.
    pub undelivered: Counter,
    /// Commands without an outcome within the limit, or before their client hung up.
    pub late: Counter,
    /// From handing a command to the producer until its outcome, seconds.
    pub reply_seconds: Histogram,
}

impl CommandMetrics {
    /// Registers the metrics.
    pub fn new(registry: &mut Metrics) -> Self {
        let metrics = Self {
            sent: Counter::default(),
            undelivered: Counter::default(),
            late: Counter::default(),
            reply_seconds: latency(),
        };
        let registry = registry.sub_registry_with_prefix("ingress");
        for (name, help, counter) in [
            ("commands", "Commands handed to the producer", &metrics.sent),
            (
                "commands_undelivered",
                "Commands that Kafka did not acknowledge",
                &metrics.undelivered,
            ),
            (
                "commands_late",
                "Commands without an outcome within the limit, or before their client hung up",
                &metrics.late,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        registry.register_with_unit(
            "reply",
            "From a command's hand-over to its outcome",
            Unit::Seconds,
            metrics.reply_seconds.clone(),
        );
        metrics
    }
}

/// What is sampled once a second.
#[derive(Clone, Debug, Default)]
pub struct SampledMetrics {
    /// Commands that wait for their outcome.
    pub commands_waiting: Gauge,
    /// Messages in the producer's queue.
    pub producer_queue: Gauge,
    /// Age of the last heartbeat of the book partition that has been silent longest, seconds.
    pub heartbeat_age_seconds: Gauge<f64, AtomicU64>,
    /// Rows in the outbox.
    pub outbox_rows: Gauge,
}

impl SampledMetrics {
    /// Registers the metrics.
    pub fn new(registry: &mut Metrics) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("ingress");
        registry.register(
            "commands_waiting",
            "Commands that wait for their outcome",
            metrics.commands_waiting.clone(),
        );
        registry.register(
            "producer_queue_messages",
            "Messages in the producer's queue",
            metrics.producer_queue.clone(),
        );
        registry.register_with_unit(
            "heartbeat_age",
            "Age of the oldest of the book partitions' last heartbeats",
            Unit::Seconds,
            metrics.heartbeat_age_seconds.clone(),
        );
        registry.register(
            "outbox_rows",
            "Rows that wait in the outbox",
            metrics.outbox_rows.clone(),
        );
        metrics
    }
}
