//! What the payments stage tells about itself.

use brokerx_topics::service::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// The metrics; every clone counts into the same.
#[derive(Clone, Debug)]
pub(super) struct PaymentsMetrics {
    requests: Family<OutcomeLabel, Counter>,
    pub(super) request_seconds: Histogram,
    pub(super) open: Gauge,
    pub(super) results: Counter,
    pub(super) contradictions: Counter,
    pub(super) errors: Counter,
    pub(super) left_out: Counter,
}

impl PaymentsMetrics {
    pub(super) fn register(metrics: &mut Metrics) -> Self {
        let this = Self {
            requests: Family::default(),
            request_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            open: Gauge::default(),
            results: Counter::default(),
            contradictions: Counter::default(),
            errors: Counter::default(),
            left_out: Counter::default(),
        };
        let registry = metrics.sub_registry_with_prefix("payments");
        registry.register(
            "requests",
            "Requests to the provider, by what came of them",
            this.requests.clone(),
        );
        registry.register(
            "request_seconds",
            "Time of one request to the provider",
            this.request_seconds.clone(),
        );
        registry.register("open", "Payments that are undecided", this.open.clone());
        registry.register("results", "Results written to account-commands", this.results.clone());
        registry.register(
            "contradictions",
            "Payments whose account says other than the provider: look at each",
            this.contradictions.clone(),
        );
        registry.register(
            "errors",
            "Passes that ended with an error and were begun again",
            this.errors.clone(),
        );
        registry.register(
            "left_out",
            "Records that settlement did not write",
            this.left_out.clone(),
        );
        this
    }

    pub(super) fn requested(&self, outcome: &'static str, seconds: f64) {
        self.requests.get_or_create(&OutcomeLabel { outcome }).inc();
        self.request_seconds.observe(seconds);
    }
}
