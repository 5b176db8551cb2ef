//! Asks the provider about one payment until it has decided.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brokerx_schemas::{PaymentDirection, PaymentId, PaymentView};
use brokerx_topics::headers::{CORRELATION_ID, Trace};
use brokerx_topics::service::{self, Backoff, Check, Password};
use reqwest::StatusCode;
use tokio::sync::Semaphore;

use super::metrics::PaymentsMetrics;
use super::options::PaymentsOptions;
use crate::provider::wire::{Direction, PaymentAnswer, PaymentOrder, Status};

/// Longest wait for a connection to the provider.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// How often a provider is asked that does not know us: the first pause and the longest. An operator has to help, and
/// many wrong credentials in a row look like an attack.
const REFUSED_PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

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
    /// Nothing is said of the payment.
    #[error("the provider does not take our credential (BROKERX_PROVIDER_TOKEN): it answered {0}")]
    Refused(StatusCode),
}

/// A client of the provider; every clone shares its connections and its limit.
#[derive(Clone)]
pub(super) struct ProviderClient {
    http: reqwest::Client,
    url: String,
    token: Option<Password>,
    permits: Arc<Semaphore>,
    metrics: PaymentsMetrics,
    /// Whether the provider knows us.
    check: Check,
}

impl ProviderClient {
    /// The check holds until the provider refuses our credential, and again once it takes it.
    pub(super) fn new(
        options: &PaymentsOptions,
        metrics: PaymentsMetrics,
        check: Check,
    ) -> Result<Self, reqwest::Error> {
        let http = service::trusting(reqwest::Client::builder(), options.provider_ca_file.as_ref())
            // The provider is near: no proxy from the environment stands in between.
            .no_proxy()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(Duration::from_millis(options.provider_timeout_ms))
            .build()?;
        // What is not an address is refused now, not with the first payment.
        http.get(&options.provider_url).build()?;
        check.set(true, "not asked yet");
        let token = options.provider_token.as_ref().or(options.provider_token_file.as_ref());
        Ok(Self {
            http,
            url: options.provider_url.trim_end_matches('/').to_owned(),
            token: token.cloned(),
            permits: Arc::new(Semaphore::new(options.provider_requests_max.max(1))),
            metrics,
            check,
        })
    }

    /// Asks until there is a decision, however long that takes.
    pub(super) async fn decide(&self, payment: &PaymentView, trace: &Trace) -> Decision {
        let mut backoff = service::backoff();
        let mut refused_backoff = Backoff::between(REFUSED_PAUSES.0, REFUSED_PAUSES.1);
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
                    Err(Undecided::Refused(_)) => "refused",
                    Err(_) => "unknown",
                };
                self.metrics.requested(outcome, begun.elapsed().as_secs_f64());
                match &answered {
                    Err(refused @ Undecided::Refused(_)) => self.check.set(false, &refused.to_string()),
                    // Whether it would let us in is not said.
                    Err(Undecided::NoAnswer(_)) => {}
                    Ok(_) | Err(Undecided::Pending | Undecided::Answer(_)) => self.check.set(true, "answers"),
                }
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
                Undecided::NoAnswer(_) | Undecided::Refused(_) => accepted,
                Undecided::Answer(status) => accepted && *status != StatusCode::NOT_FOUND,
            };
            let (payment_id, correlation_id) = (payment.payment_id.0, trace.correlation_id.as_deref());
            match undecided {
                Undecided::Pending => {}
                Undecided::Refused(_) => {
                    tracing::error!(payment_id, correlation_id, reason = %undecided, "a payment waits until we are let in");
                }
                _ => tracing::warn!(payment_id, correlation_id, reason = %undecided, "a payment stays undecided"),
            }
            let pause = match undecided {
                Undecided::Refused(_) => refused_backoff.next(),
                _ => backoff.next(),
            };
            tokio::time::sleep(pause).await;
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
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.reveal());
        }
        let response = request.send().await?;
        match response.status() {
            status if status.is_success() => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => return Err(Undecided::Refused(status)),
            status => return Err(Undecided::Answer(status)),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use brokerx_schemas::PaymentStatus;
    use brokerx_topics::service::Health;

    use super::*;
    use crate::provider::http::routes;
    use crate::provider::store::Store;

    /// A client of the provider at this address, with a token.
    fn client(url: &str, token: &str, health: &Health) -> ProviderClient {
        let options = PaymentsOptions {
            provider_url: url.to_owned(),
            provider_ca_file: None,
            provider_token: Some(token.parse().unwrap()),
            provider_token_file: None,
            provider_timeout_ms: 5_000,
            provider_requests_max: 1,
            payments_open_max: 1,
        };
        let metrics = PaymentsMetrics::register(&mut service::metrics());
        ProviderClient::new(&options, metrics, health.add("payment-provider")).unwrap()
    }

    #[tokio::test]
    async fn a_provider_that_does_not_know_us_decides_nothing() {
        let folder = std::env::temp_dir().join(format!("brokerx-provider-token-{}", std::process::id()));
        let routes = routes(
            Store::open(&folder).unwrap(),
            Duration::ZERO,
            Some("right".parse().unwrap()),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        // An amount that the provider refuses for good as soon as it knows who asks.
        let payment = PaymentView {
            payment_id: PaymentId(1),
            direction: PaymentDirection::Deposit,
            amount_cents: 113,
            currency: "USD".to_owned(),
            status: PaymentStatus::Pending,
            reason: None,
            created_us: 0,
            updated_us: 0,
        };
        let trace = Trace::default();

        let health = Health::default();
        let stranger = client(&url, "wrong", &health);
        assert!(health.is_ready(), "nobody was asked yet");
        let mut undecided = std::pin::pin!(stranger.decide(&payment, &trace));
        let limit = Instant::now() + Duration::from_secs(10);
        while health.is_ready() {
            assert!(Instant::now() < limit, "it does not say that it is refused");
            let decided = tokio::time::timeout(Duration::from_millis(20), &mut undecided).await;
            assert!(decided.is_err(), "{decided:?}");
        }
        let health = Health::default();
        let known = client(&url, "right", &health).decide(&payment, &trace).await;
        assert!(!known.settled);
        assert!(health.is_ready());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
