//! An operator who suspends a client and takes it in again, and corrects its cash, while everything else goes
//! wrong: the client's order leaves the book each time, and each correction counts once.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use brokerx_client::{Answer, Api, Cents, Session, place_order};
use brokerx_e2e::fixture::PASSWORD;
use reqwest::Method;
use serde_json::{Value, json};

pub const PATIENCE: Duration = Duration::from_secs(90);
pub const PAUSE: Duration = Duration::from_millis(200);

/// The operator, and the client that it looks after.
pub struct Guard {
    pub api: Api,
    pub key: String,
    pub symbol: String,
    pub email: String,
    pub account_id: String,
}

impl Guard {
    /// Goes on until told to stop. Returns how often the client was suspended.
    pub async fn guard(self, stop: Arc<AtomicBool>) -> anyhow::Result<usize> {
        let session = self.log_in().await?;
        let me = done("who am I", async || session.get("/api/v1/me").await).await?;
        let client_id = me["client_id"].as_str().context("no client id")?.to_owned();
        let before = self.cash(&session).await?;
        let mut rounds = 0;
        while !stop.load(Ordering::Relaxed) {
            rounds += 1;
            let session = self.log_in().await?;
            let mut tries = 0;
            let placed = taken(&session, || {
                tries += 1;
                let id = format!("guarded-{rounds}-{tries}");
                place_order(&id, &self.symbol, "buy", 1, Some(Cents(97_00)), "GTC")
            })
            .await?;
            ensure!(placed["order"]["status"] != "rejected", "{placed}");
            let id = placed["order"]["client_order_id"]
                .as_str()
                .context("an order without its id")?;
            let path = format!("/admin/v1/clients/{client_id}/suspend");
            self.operate(&path, &[], None).await?;
            let path = format!("/admin/v1/accounts/{}/adjustments", self.account_id);
            let key = format!("guard-{rounds}");
            let body = json!({"cash": "1.00", "note": "a correction in the middle of it"});
            self.operate(&path, &[("Idempotency-Key", &key)], Some(&body)).await?;
            let path = format!("/admin/v1/clients/{client_id}/reinstate");
            self.operate(&path, &[], None).await?;
            let session = self.log_in().await?;
            let path = format!("/api/v1/orders/by-client-id/{id}");
            let started = Instant::now();
            loop {
                let read = done("the order", async || session.get(&path).await).await?;
                let order = &read["order"];
                if order["status"] == "cancelled" {
                    ensure!(order["reason"] == "ACCOUNT_NOT_ACTIVE", "{read}");
                    break;
                }
                ensure!(started.elapsed() < PATIENCE, "it is still in the book: {read}");
                tokio::time::sleep(PAUSE).await;
            }
        }
        let session = self.log_in().await?;
        let started = Instant::now();
        let expected = Cents(before.0 + i64::try_from(rounds)? * 1_00);
        loop {
            let after = self.cash(&session).await?;
            if after == expected {
                return Ok(rounds);
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "{rounds} corrections made {before} into {after}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn cash(&self, session: &Session) -> anyhow::Result<Cents> {
        let portfolio = done("the portfolio", async || session.get("/api/v1/portfolio").await).await?;
        let text = portfolio["cash"]["balance"].as_str().context("no balance")?;
        text.parse().map_err(|_| anyhow::anyhow!("{text} is no amount"))
    }

    async fn log_in(&self) -> anyhow::Result<Session> {
        let started = Instant::now();
        loop {
            // 403 for as long as an instance still knows of the suspension.
            match self.api.log_in(&self.email, PASSWORD).await {
                Ok(answer) if answer.status == 200 => match Session::new(&self.api, answer).await {
                    Ok(session) => return Ok(session),
                    Err(error) if started.elapsed() >= PATIENCE => return Err(error),
                    Err(_) => {}
                },
                Ok(answer) if started.elapsed() >= PATIENCE => bail!("{}: {}", answer.status, answer.body),
                Err(error) if started.elapsed() >= PATIENCE => return Err(error),
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn operate(&self, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> anyhow::Result<Value> {
        let mut with_key = vec![("X-API-Key", self.key.as_str())];
        with_key.extend_from_slice(headers);
        done(path, async || {
            self.api.request(Method::POST, path, &with_key, body).await
        })
        .await
    }
}

/// Places an order until it is taken. One that came too late is sent anew under another id, as its answer says.
pub async fn taken(session: &Session, mut next: impl FnMut() -> Value) -> anyhow::Result<Value> {
    let tried = RefCell::new((next(), next));
    done("an order", async || {
        let order = tried.borrow().0.clone();
        let answer = session.place(&order).await?;
        if answer.code() == "EXPIRED_REQUEST" {
            let (order, next) = &mut *tried.borrow_mut();
            *order = next();
        }
        Ok(answer)
    })
    .await
}

/// Asks until the answer is 200 or 201. Whatever is asked for here may be asked for twice.
pub async fn done(what: &str, ask: impl AsyncFn() -> anyhow::Result<Answer>) -> anyhow::Result<Value> {
    let started = Instant::now();
    loop {
        match ask().await {
            Ok(answer) if [200, 201].contains(&answer.status) => return Ok(answer.body),
            // 404 while what is read is not in the projection yet, 422 when a command came behind its deadline.
            Ok(answer) if [202, 401, 403, 404, 422, 429, 503, 504].contains(&answer.status) => {
                ensure!(
                    started.elapsed() < PATIENCE,
                    "{what} was answered with {}: {}",
                    answer.status,
                    answer.body
                );
            }
            Ok(answer) => bail!("{what} was answered with {}: {}", answer.status, answer.body),
            Err(error) if started.elapsed() >= PATIENCE => return Err(error),
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}
