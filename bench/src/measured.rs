//! One round of measurements: a line of JSON, so that rounds of several builds and machines can be put side by side.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// What was measured, as whoever measured calls it.
    pub build: String,
    /// Processors that the system had.
    pub processors: u32,
    /// Orders and records a second while `ceiling` and `pipeline` were measured.
    pub rate: u32,
    /// Three empty hops.
    pub ceiling: Percentiles,
    /// Orders, from command to reply.
    pub pipeline: Percentiles,
    /// Records a second through the three empty hops.
    pub ceiling_drained: f64,
    /// Orders a second through the pipeline.
    pub pipeline_drained: f64,
    /// Orders over HTTP, at each rate.
    pub http: Vec<Http>,
}

/// Orders over HTTP at one rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// Orders a second.
    pub rate: u32,
    /// From when an order was due to its outcome.
    pub latency: Percentiles,
    /// What one of them cost.
    pub cost: PerOrder,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// One of twenty took longer.
    pub p95: f64,
    /// One of a hundred took longer.
    pub p99: f64,
    /// How many were measured.
    pub measured: u64,
    /// How many failed; they are in no percentile.
    pub failed: u64,
}

/// What an order cost, on average.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PerOrder {
    /// Processor time of all processes of the system, in milliseconds.
    pub processor_ms: f64,
    /// Voluntary context switches of all of them.
    pub switches: f64,
    /// Requests that the broker answered.
    pub requests: f64,
    /// Bytes that Kafka's logs grew by.
    pub kafka_bytes: f64,
    /// Bytes that the database grew by.
    pub database_bytes: f64,
    /// Processor time by process, in milliseconds.
    pub by_process: BTreeMap<String, f64>,
    /// Requests by kind.
    pub by_kind: BTreeMap<String, f64>,
}
