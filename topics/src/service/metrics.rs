//! The words that every process counts in: names, labels and buckets are the same wherever the same
//! thing is measured, so that one query serves all of them.
//!
//! A name is `brokerx_<room>_<what>`. Of records it is `records_applied`, `records_duplicate` and
//! `records_behind_hole`; times are seconds and end in `_seconds`. Labels have few values: never an
//! account, an order, a symbol or a path.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::histogram::Histogram;

use super::clock::now_us;

/// The metrics of a process.
pub type Metrics = prometheus_client::registry::Registry;

/// A registry in which every metric's name begins with `brokerx_`.
pub fn metrics() -> Metrics {
    Metrics::with_prefix("brokerx")
}

/// The label of what is counted per topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TopicLabel {
    /// The topic.
    pub topic: &'static str,
}

/// A histogram of seconds, with buckets from 10 microseconds to 10 seconds.
pub fn latency() -> Histogram {
    Histogram::new([
        0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
    ])
}

/// How long ago something happened; no time when a clock elsewhere is ahead of this one.
pub fn since(occurred_us: i64) -> Duration {
    Duration::from_micros(u64::try_from(now_us().saturating_sub(occurred_us)).unwrap_or(0))
}
