//! Asks the provider about one payment until it has decided.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brokerx_schemas::{PaymentDirection, PaymentId, PaymentView};
use brokerx_topics::headers::{CORRELATION_ID, Trace};
use brokerx_topics::service::{self, Check, Password};
use reqwest::StatusCode;
use tokio::sync::Semaphore;

use super::admission::Admission;
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

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Of the address, or the certificates.
    #[error("{}", service::with_causes(.0))]
    Address(#[from] reqwest::Error),
    /// It does not fit into a header.
    #[error(
        "the token (BROKERX_PROVIDER_TOKEN, or its file) cannot be sent: it has characters that a header does not take"
    )]
    Token,
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
    admission: Arc<Admission>,
}

impl ProviderClient {
    /// The check holds until the provider refuses our credential, and again once it takes it.
    ///
    /// # Errors
    /// When no request could be sent with these options.
    pub(super) fn new(options: &PaymentsOptions, metrics: PaymentsMetrics, check: Check) -> Result<Self, Unusable> {
        let http = service::trusting(reqwest::Client::builder(), options.provider_ca_file.as_ref())
            // The provider is near: no proxy from the environment stands in between.
            .no_proxy()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(Duration::from_millis(options.provider_timeout_ms))
            .build()?;
        // What is not an address, or no token, is refused now, not with the first payment.
        http.get(&options.provider_url).build()?;
        let token = options.provider_token.as_ref().or(options.provider_token_file.as_ref());
        if let Some(token) = token {
            let proven = http.get(&options.provider_url).bearer_auth(token.reveal());
            proven.build().map_err(|_| Unusable::Token)?;
        }
        Ok(Self {
            http,
            url: options.provider_url.trim_end_matches('/').to_owned(),
            token: token.cloned(),
            permits: Arc::new(Semaphore::new(options.provider_requests_max.max(1))),
            metrics,
            admission: Arc::new(Admission::new(check)),
        })
    }

    /// Asks until there is a decision, however long that takes.
    pub(super) async fn decide(&self, payment: &PaymentView, trace: &Trace) -> Decision {
        let mut backoff = service::backoff();
        let mut accepted = false;
        loop {
            let answered = {
                let trial = self.admission.wait().await;
                // The semaphore is never closed.
                let _permit = self.permits.acquire().await;
                if trial.is_none() && self.admission.is_refused() {
                    // Somebody else was refused meanwhile.
                    continue;
                }
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
                    Err(refused @ Undecided::Refused(_)) => self.admission.refused(trial, refused),
                    // Whether it would let us in is not said.
                    Err(Undecided::NoAnswer(_)) => {}
                    Ok(_) | Err(Undecided::Pending | Undecided::Answer(_)) => self.admission.let_in(trial),
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
            match undecided {
                // It waits at the admission.
                Undecided::Refused(_) => continue,
                Undecided::Pending => {}
                _ => {
                    let (payment_id, correlation_id) = (payment.payment_id.0, trace.correlation_id.as_deref());
                    tracing::warn!(payment_id, correlation_id, reason = %undecided, "a payment stays undecided");
                }
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
    use std::path::PathBuf;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use axum::extract::{Request, State};
    use axum::http::HeaderValue;
    use axum::http::header::AUTHORIZATION;
    use axum::middleware::{Next, from_fn_with_state};
    use axum::response::Response;
    use brokerx_schemas::PaymentStatus;
    use brokerx_topics::service::Health;

    use super::*;
    use crate::provider::http::routes;
    use crate::provider::store::Store;

    /// Requests of strangers: when each came, and whether an operator has helped since.
    #[derive(Clone, Default)]
    struct Gate {
        came: Arc<Mutex<Vec<Instant>>>,
        is_known: Arc<AtomicBool>,
    }

    async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
        gate.came.lock().unwrap().push(Instant::now());
        if gate.is_known.load(Ordering::Relaxed) {
            let right = HeaderValue::from_static("Bearer right");
            request.headers_mut().insert(AUTHORIZATION, right);
        }
        next.run(request).await
    }

    /// The provider that takes the token `right`, behind a gate: its address, and the folder of its payments.
    async fn provider(gate: Gate) -> (String, PathBuf) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("brokerx-provider-token-{}-{number}", std::process::id()));
        let store = Store::open(&folder).unwrap();
        let routes = routes(store, Duration::ZERO, Some("right".parse().unwrap()));
        let routes = routes.layer(from_fn_with_state(gate, pass));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (url, folder)
    }

    /// A payment whose amount the provider refuses for good as soon as it knows who asks.
    fn payment(number: i64) -> PaymentView {
        PaymentView {
            payment_id: PaymentId(number),
            direction: PaymentDirection::Deposit,
            amount_cents: 113,
            currency: "USD".to_owned(),
            status: PaymentStatus::Pending,
            reason: None,
            created_us: 0,
            updated_us: 0,
        }
    }

    fn options(url: &str, token: &str) -> PaymentsOptions {
        PaymentsOptions {
            provider_url: url.to_owned(),
            provider_ca_file: None,
            provider_token: Some(token.parse().unwrap()),
            provider_token_file: None,
            provider_timeout_ms: 5_000,
            provider_requests_max: 1,
            payments_open_max: 1,
        }
    }

    /// A client of the provider at this address, with a token.
    fn client(url: &str, token: &str, health: &Health) -> Result<ProviderClient, Unusable> {
        let metrics = PaymentsMetrics::register(&mut service::metrics());
        ProviderClient::new(&options(url, token), metrics, health.add("payment-provider"))
    }

    #[tokio::test]
    async fn a_token_that_no_header_takes_ends_the_start() {
        let health = Health::default();
        let url = "http://127.0.0.1:1";
        for token in ["ab\ncd", "ab\r\n\n", "ab\u{0}"] {
            let refused = client(url, token, &health).map(|_| ()).unwrap_err();
            assert!(refused.to_string().contains("BROKERX_PROVIDER_TOKEN"), "{refused}");
        }
        assert!(client(url, "abc\n", &health).is_ok(), "as stores of secrets give it");
        assert!(client("nowhere", "abc", &health).is_err());
    }

    #[tokio::test]
    async fn a_provider_that_does_not_know_us_decides_nothing() {
        let (url, folder) = provider(Gate::default()).await;
        let (payment, trace) = (payment(1), Trace::default());
        let health = Health::default();
        let stranger = client(&url, "wrong", &health).unwrap();
        assert!(health.is_ready(), "nobody was asked yet");
        let mut undecided = std::pin::pin!(stranger.decide(&payment, &trace));
        let limit = Instant::now() + Duration::from_secs(10);
        while health.is_ready() {
            assert!(Instant::now() < limit, "it does not say that it is refused");
            let decided = tokio::time::timeout(Duration::from_millis(20), &mut undecided).await;
            assert!(decided.is_err(), "{decided:?}");
        }
        let health = Health::default();
        let known = client(&url, "right", &health).unwrap().decide(&payment, &trace).await;
        assert!(!known.settled);
        assert!(health.is_ready());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn one_payment_tries_for_all() {
        const PAYMENTS: i64 = 100;
        let gate = Gate::default();
        let (url, folder) = provider(gate.clone()).await;
        let health = Health::default();
        let stranger = client(&url, "wrong", &health).unwrap();
        let mut decided = tokio::task::JoinSet::new();
        for number in 1..=PAYMENTS {
            let stranger = stranger.clone();
            decided.spawn(async move { stranger.decide(&payment(number), &Trace::default()).await });
        }
        let limit = Instant::now() + Duration::from_secs(60);
        let came = loop {
            let came = gate.came.lock().unwrap().clone();
            if came.len() >= 4 {
                break came;
            }
            assert!(Instant::now() < limit, "it tries no more");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(!health.is_ready());
        // A pause is shortened by at most half.
        for (pair, least_ms) in came.windows(2).zip([250, 500, 1_000]) {
            let pause = pair[1] - pair[0];
            assert!(pause >= Duration::from_millis(least_ms), "{pause:?} after a refusal");
        }
        gate.is_known.store(true, Ordering::Relaxed);
        let all = tokio::time::timeout(Duration::from_secs(60), decided.join_all()).await;
        assert_eq!(all.unwrap().len(), PAYMENTS as usize);
        assert!(health.is_ready());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
