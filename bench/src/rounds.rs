//! The figures, side by side.

use std::collections::BTreeMap;
use std::time::Instant;

use hdrhistogram::Histogram;

use brokerx_bench::measured::{Http, Percentiles, Round};

use crate::cost::Cost;

/// Latencies of one measurement, in microseconds.
#[derive(Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
    /// Records and requests that were due earlier are not counted.
    measured_from: Instant,
    /// How many failed.
    pub failed: u64,
    /// Why, as far as it was said.
    reasons: BTreeMap<String, u64>,
}

impl Latencies {
    /// Starts with nothing measured; only what is due from this moment on will count.
    pub fn from(measured_from: Instant) -> Self {
        Self {
            measured_from,
            histogram: Histogram::new_with_max(600_000_000, 3).expect("three digits of up to ten minutes are allowed"),
            failed: 0,
            reasons: BTreeMap::new(),
        }
    }

    /// Counts a record or request that was due at a moment and is done now.
    pub fn record(&mut self, due: Instant) {
        if due >= self.measured_from {
            self.histogram.saturating_record(due.elapsed().as_micros() as u64);
        }
    }

    /// Counts one that failed, for a reason if there is one.
    pub fn fail(&mut self, reason: Option<impl std::fmt::Debug>) {
        self.failed += 1;
        let reason = reason.map_or_else(|| "no reason given".to_owned(), |reason| format!("{reason:?}"));
        *self.reasons.entry(reason).or_default() += 1;
    }

    /// Why orders failed, with how many for each reason.
    pub fn reasons(&self) -> String {
        let reasons = self.reasons.iter().map(|(reason, count)| format!("{reason} ({count})"));
        reasons.collect::<Vec<_>>().join(", ")
    }

    fn at(&self, quantile: f64) -> f64 {
        self.histogram.value_at_quantile(quantile) as f64 / 1e3
    }

    fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50: self.at(0.5),
            p95: self.at(0.95),
            p99: self.at(0.99),
            measured: self.histogram.len(),
            failed: self.failed,
        }
    }

    fn line(&self) -> String {
        format!(
            "p50 {:8.2} ms  p95 {:8.2} ms  p99 {:8.2} ms  p99.9 {:8.2} ms  max {:8.2} ms  ({} measured, {} failed)",
            self.at(0.5),
            self.at(0.95),
            self.at(0.99),
            self.at(0.999),
            self.histogram.max() as f64 / 1e3,
            self.histogram.len(),
            self.failed,
        )
    }
}

/// What was measured, round by round.
#[derive(Debug, Default)]
pub struct Rounds {
    /// Latency of the three empty hops.
    pub ceiling: Vec<Latencies>,
    /// Latency of orders.
    pub pipeline: Vec<Latencies>,
    /// Latency and cost of orders over HTTP, at each rate.
    pub http: Vec<Vec<(u32, Latencies, Cost)>>,
    /// Records a second through the three empty hops.
    pub ceiling_drained: Vec<f64>,
    /// Orders a second through the pipeline.
    pub pipeline_drained: Vec<f64>,
}

impl Rounds {
    /// The last round, as it is kept.
    pub fn last(&self, build: &str, rate: u32) -> Option<Round> {
        let http = self.http.last()?.iter().map(|(rate, latencies, cost)| Http {
            rate: *rate,
            latency: latencies.percentiles(),
            cost: cost.per_order(),
        });
        Some(Round {
            build: build.to_owned(),
            processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u32),
            rate,
            ceiling: self.ceiling.last()?.percentiles(),
            pipeline: self.pipeline.last()?.percentiles(),
            ceiling_drained: *self.ceiling_drained.last()?,
            pipeline_drained: *self.pipeline_drained.last()?,
            http: http.collect(),
        })
    }

    /// Prints everything, with the ratios round by round.
    pub fn print(&self, rate: u32) {
        println!("\nlatency at {rate}/s");
        for (round, (ceiling, pipeline)) in self.ceiling.iter().zip(&self.pipeline).enumerate() {
            println!("  round {}", round + 1);
            println!("    ceiling   {}", ceiling.line());
            println!("    pipeline  {}", pipeline.line());
            println!(
                "    ratio     p50 {:.2}  p95 {:.2}",
                pipeline.at(0.5) / ceiling.at(0.5),
                pipeline.at(0.95) / ceiling.at(0.95)
            );
        }
        println!("\ndrained");
        for (round, (ceiling, pipeline)) in self.ceiling_drained.iter().zip(&self.pipeline_drained).enumerate() {
            println!(
                "  round {}  ceiling {ceiling:9.0} records/s  pipeline {pipeline:9.0} orders/s  ratio {:.1} %",
                round + 1,
                100.0 * pipeline / ceiling
            );
        }
        println!("\nHTTP, order to outcome, open loop");
        for (round, rates) in self.http.iter().enumerate() {
            println!("  round {}", round + 1);
            for (rate, latencies, cost) in rates {
                println!("    at {rate:5}/s {}", latencies.line());
                for line in cost.lines() {
                    println!("      {line}");
                }
            }
        }
    }
}
