//! Asks the provider about one payment until it has decided.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brokerx_schemas::{PaymentDirection, PaymentId, PaymentView};
use brokerx_topics::headers::{CORRELATION_ID, Trace};
use brokerx_topics::service;
use reqwest::StatusCode;
use tokio::sync::Semaphore;

use super::metrics::PaymentsMetrics;
use super::options::PaymentsOptions;
use crate::provider::wire::{Direction, PaymentAnswer, PaymentOrder, Status};

/// Longest wait for a connection to the provider.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// What the provider decided, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) settled: bool,
    pub(super) reference: String,
}

/// Why one request decided nothing.
#[derive(Debug, thiserror::Error)]
enum Undecided {
    #[error("the provider has not decided yet")]
    Pending,
    #[error("no answer: {}", service::with_causes(.0))]
    NoAnswer(#[from] reqwest::Error),
    #[error("the provider answered {0}")]
    Answer(StatusCode),
}

/// A client of the provider; every clone shares its connections and its limit.
#[derive(Clone)]
pub(super) struct ProviderClient {
    http: reqwest::Client,
    url: String,
    permits: Arc<Semaphore>,
    metrics: PaymentsMetrics,
}

impl ProviderClient {
    pub(super) fn new(options: &PaymentsOptions, metrics: PaymentsMetrics) -> Result<Self, reqwest::Error> {
        let http = service::trusting(reqwest::Client::builder(), options.provider_ca_file.as_ref())
            // The provider is near: no proxy from the environment stands in between.
            .no_proxy()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(Duration::from_millis(options.provider_timeout_ms))
            .build()?;
        // What is not an address is refused now, not with the first payment.
        http.get(&options.provider_url).build()?;
        Ok(Self {
            http,
            url: options.provider_url.trim_end_matches('/').to_owned(),
            permits: Arc::new(Semaphore::new(options.provider_requests_max.max(1))),
            metrics,
        })
    }

    /// Asks until there is a decision, however long that takes.
    pub(super) async fn decide(&self, payment: &PaymentView, trace: &Trace) -> Decision {
        let mut backoff = service::backoff();
        let mut accepted = false;
        loop {
            let answered = {
                // The semaphore is never closed.
                let _permit = self.permits.acquire().await;
                let begun = Instant::now();
                let answered = match accepted {
                    true => self.look(payment.payment_id, trace).await,
                    false => self.ask(payment, trace).await,
                };
                let outcome = match &answered {
                    Ok(Decision { settled: true, .. }) => "settled",
                    Ok(Decision { settled: false, .. }) => "failed",
                    Err(Undecided::Pending) => "pending",
                    Err(_) => "unknown",
                };
                self.metrics.requested(outcome, begun.elapsed().as_secs_f64());
                answered
            };
            let undecided = match answered {
                Ok(decision) => return decision,
                Err(undecided) => undecided,
            };
            // A payment that was accepted is only looked up; if it is not found there, it is asked
            // for again.
            accepted = match &undecided {
                Undecided::Pending => true,
                Undecided::NoAnswer(_) => accepted,
                Undecided::Answer(status) => accepted && *status != StatusCode::NOT_FOUND,
            };
            if !matches!(undecided, Undecided::Pending) {
                let correlation_id = trace.correlation_id.as_deref();
                tracing::warn!(payment_id = payment.payment_id.0, correlation_id, reason = %undecided, "a payment stays undecided");
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn ask(&self, payment: &PaymentView, trace: &Trace) -> Result<Decision, Undecided> {
        let order = PaymentOrder {
            direction: match payment.direction {
                PaymentDirection::Withdrawal => Direction::Withdrawal,
                PaymentDirection::Deposit | PaymentDirection::Unknown => Direction::Deposit,
            },
            amount_cents: payment.amount_cents,
            currency: payment.currency.clone(),
        };
        let request = self.http.put(self.address(payment.payment_id)).json(&order);
        self.send(request.header("Idempotency-Key", payment.payment_id.to_string()), trace)
            .await
    }

    async fn look(&self, payment_id: PaymentId, trace: &Trace) -> Result<Decision, Undecided> {
        self.send(self.http.get(self.address(payment_id)), trace).await
    }

    async fn send(&self, mut request: reqwest::RequestBuilder, trace: &Trace) -> Result<Decision, Undecided> {
        if let Some(correlation_id) = &trace.correlation_id {
            request = request.header(CORRELATION_ID, correlation_id);
        }
        let response = request.send().await?;
        if !response.status().is_success() {
            return Err(Undecided::Answer(response.status()));
        }
        let PaymentAnswer { status, reference } = response.json().await?;
        match status {
            Status::Settled => Ok(Decision {
                settled: true,
                reference,
            }),
            Status::Failed => Ok(Decision {
                settled: false,
                reference,
            }),
            Status::Pending => Err(Undecided::Pending),
        }
    }

    fn address(&self, payment_id: PaymentId) -> String {
        format!("{}/v1/payments/{payment_id}", self.url)
    }
}
