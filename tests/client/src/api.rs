//! The HTTP API.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Cents, Stream};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How long a registration waits for its turn.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a system listens.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    /// The ingress, `http://host:port`.
    pub ingress_url: String,
    /// The notifier, `ws://host:port/ws`.
    pub stream_url: String,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null when it is not JSON.
    pub body: Value,
    /// Whether it repeats an earlier outcome.
    pub replayed: bool,
    /// Where to look for the outcome later, after 202.
    pub location: Option<String>,
    /// After how many seconds to try again, after 429 and 503.
    pub retry_after_seconds: Option<u64>,
    /// From the first byte sent to the last received.
    pub elapsed: Duration,
}

impl Answer {
    /// The body, when the status is as expected.
    ///
    /// # Errors
    /// When the status is another one.
    pub fn expect(self, status: u16) -> anyhow::Result<Value> {
        ensure!(
            self.status == status,
            "expected {status}, got {}: {}",
            self.status,
            self.body
        );
        Ok(self.body)
    }

    /// The error code of a problem.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Api {
    /// A client of the system at these addresses.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(ingress_url: &str, stream_url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self {
            http,
            ingress_url: ingress_url.to_owned(),
            stream_url: stream_url.to_owned(),
        })
    }

    /// The same system, asked from another address of this machine.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn from_address(&self, address: IpAddr) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .local_address(address)
            .build()?;
        Ok(Self { http, ..self.clone() })
    }

    /// Sends one request and returns the answer, whatever its status.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.ingress_url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let started = Instant::now();
        let response = request.send().await?;
        let status = response.status().as_u16();
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let replayed = header("idempotent-replayed").is_some_and(|value| value == "true");
        let location = header("location");
        let retry_after_seconds = header("retry-after").and_then(|value| value.parse().ok());
        let bytes = response.bytes().await?;
        let elapsed = started.elapsed();
        Ok(Answer {
            status,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            replayed,
            location,
            retry_after_seconds,
            elapsed,
        })
    }

    /// Registers a client.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn register(&self, email: &str, password: &str, name: &str) -> anyhow::Result<Answer> {
        let body = json!({"email": email, "password": password, "name": name});
        self.request(Method::POST, "/api/v1/clients/register", &[], Some(&body))
            .await
    }

    /// Registers a client, and waits where many registrations of one address have to.
    ///
    /// # Errors
    /// When no answer comes, or the wait is longer than a minute.
    pub async fn register_in_turn(&self, email: &str, password: &str, name: &str) -> anyhow::Result<Answer> {
        let started = Instant::now();
        loop {
            let answer = self.register(email, password, name).await?;
            match answer.retry_after_seconds {
                Some(seconds) if answer.status == 429 && started.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Uses the link of a verification mail, as a program does: its token goes back with POST.
    ///
    /// # Errors
    /// When no answer comes, or the link leads elsewhere.
    pub async fn open_link(&self, link: &str) -> anyhow::Result<Answer> {
        let (path, token) = link
            .strip_prefix(&self.ingress_url)
            .and_then(|rest| rest.split_once("?token="))
            .with_context(|| format!("{link} leads elsewhere"))?;
        self.request(Method::POST, path, &[], Some(&json!({ "token": token })))
            .await
    }

    /// Logs a client in.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn log_in(&self, email: &str, password: &str) -> anyhow::Result<Answer> {
        let body = json!({"email": email, "password": password});
        self.request(Method::POST, "/api/v1/auth/login", &[], Some(&body)).await
    }

    /// Sends a request of an operator, with its API key.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn operate(
        &self,
        api_key: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        self.request(method, path, &[("X-API-Key", api_key)], body).await
    }
}

/// A client that is logged in.
#[derive(Clone, Debug)]
pub struct Session {
    /// The system that it is logged in to.
    pub api: Api,
    /// The bearer token.
    pub token: String,
    /// The client's account.
    pub account_id: String,
}

impl Session {
    /// A session from the answer to a log-in.
    ///
    /// # Errors
    /// When the answer holds no token.
    pub async fn new(api: &Api, answer: Answer) -> anyhow::Result<Self> {
        let body = answer.expect(200)?;
        let token = body["token"].as_str().context("a log-in without a token")?.to_owned();
        let mut session = Self {
            api: api.clone(),
            token,
            account_id: String::new(),
        };
        let me = session.get("/api/v1/me").await?.expect(200)?;
        session.account_id = me["account_id"].as_str().context("me without an account")?.to_owned();
        Ok(session)
    }

    /// Sends one request with the token.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        idempotency_key: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend(idempotency_key.map(|key| ("Idempotency-Key", key)));
        self.api.request(method, path, &headers, body).await
    }

    /// Reads something.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.request(Method::GET, path, None, None).await
    }

    /// Asks for a deposit.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn deposit(&self, amount: Cents, key: &str) -> anyhow::Result<Answer> {
        let body = json!({"amount": amount.to_string(), "currency": "USD"});
        self.request(Method::POST, "/api/v1/deposits", Some(key), Some(&body))
            .await
    }

    /// Places an order; see [`place_order`] for its body.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn place(&self, order: &Value) -> anyhow::Result<Answer> {
        self.request(Method::POST, "/api/v1/orders", None, Some(order)).await
    }

    /// Cancels an order.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn cancel(&self, order_id: &str) -> anyhow::Result<Answer> {
        self.request(Method::DELETE, &format!("/api/v1/orders/{order_id}"), None, None)
            .await
    }

    /// The portfolio, at least as new as a consistency token.
    ///
    /// # Errors
    /// When no answer comes, or it is not 200.
    pub async fn portfolio(&self, token: Option<&str>) -> anyhow::Result<Value> {
        let query = token
            .map(|token| format!("?consistency_token={token}"))
            .unwrap_or_default();
        self.get(&format!("/api/v1/portfolio{query}")).await?.expect(200)
    }

    /// Opens the client's WebSocket and subscribes, see [`Stream::open`].
    ///
    /// # Errors
    /// When the stream cannot be opened.
    pub async fn stream(&self, channels: &[&str], after: Option<i64>) -> anyhow::Result<Stream> {
        Stream::open(&self.api.stream_url, Some(&self.token), channels, after).await
    }

    /// The account's cash balance.
    ///
    /// # Errors
    /// When the portfolio cannot be read.
    pub async fn cash(&self, token: Option<&str>) -> anyhow::Result<Cents> {
        let portfolio = self.portfolio(token).await?;
        match portfolio["cash"]["balance"].as_str() {
            Some(text) => text.parse(),
            None => bail!("a portfolio without cash: {portfolio}"),
        }
    }
}

/// The body of an order: a limit order when there is a price, otherwise a market order.
pub fn place_order(
    client_order_id: &str,
    symbol: &str,
    direction: &str,
    quantity: i64,
    price: Option<Cents>,
    time_in_force: &str,
) -> Value {
    let mut order = json!({
        "symbol": symbol,
        "direction": direction,
        "order_type": if price.is_some() { "limit" } else { "market" },
        "quantity": quantity,
        "time_in_force": time_in_force,
        "client_order_id": client_order_id,
    });
    if let Some(price) = price {
        order["price"] = json!(price.to_string());
    }
    json!({ "order": order })
}
