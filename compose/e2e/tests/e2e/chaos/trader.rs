//! A client that places and cancels, and asks again until it knows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use brokerx_e2e::client::{Cents, Session, place_order};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};
use serde_json::Value;
use sqlx::{PgPool, Row};

const PATIENCE: Duration = Duration::from_secs(90);

/// An order as its client knows it.
#[derive(Clone, Debug)]
pub struct Known {
    account_id: i64,
    client_order_id: String,
    /// None when it was refused before it had an id.
    order_id: Option<i64>,
}

/// A client with a mind of its own.
pub struct Trader {
    session: Session,
    symbols: Vec<String>,
    random: Xoshiro256PlusPlus,
}

impl Trader {
    pub fn new(session: Session, symbols: Vec<String>, random: Xoshiro256PlusPlus) -> Self {
        Self {
            session,
            symbols,
            random,
        }
    }

    /// Trades until told to stop; gives back every order that was acknowledged.
    pub async fn trade(mut self, stop: Arc<AtomicBool>) -> anyhow::Result<Vec<Known>> {
        let mut known = Vec::new();
        let mut open: Vec<String> = Vec::new();
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if !open.is_empty() && self.random.random_ratio(1, 3) {
                let id = open.swap_remove(self.random.random_range(0..open.len()));
                self.cancel(&id).await?;
                continue;
            }
            let client_order_id = format!("o{number}");
            let body = self.place(&client_order_id).await?;
            let id = body["order"]["id"].as_str().map(str::to_owned);
            known.push(Known {
                account_id: self.session.account_id.parse()?,
                client_order_id,
                order_id: id.as_deref().map(str::parse).transpose()?,
            });
            open.extend(id.filter(|_| {
                ["working", "partially_filled"]
                    .iter()
                    .any(|status| body["order"]["status"] == *status)
            }));
        }
        Ok(known)
    }

    /// Places an order and asks again, with the same id, until the outcome is known.
    async fn place(&mut self, client_order_id: &str) -> anyhow::Result<Value> {
        let symbol = &self.symbols[self.random.random_range(0..self.symbols.len())];
        let direction = if self.random.random() { "buy" } else { "sell" };
        let price = (!self.random.random_ratio(1, 8)).then(|| Cents(self.random.random_range(99_00..=101_00)));
        let time_in_force = ["GTC", "GTC", "DAY", "IOC"][self.random.random_range(0..4)];
        let time_in_force = if price.is_some() { time_in_force } else { "IOC" };
        let quantity = self.random.random_range(1..=12);
        let order = place_order(client_order_id, symbol, direction, quantity, price, time_in_force);
        let started = Instant::now();
        loop {
            match self.session.place(&order).await {
                Ok(answer) if [200, 201, 422].contains(&answer.status) => {
                    return Ok(answer.body);
                }
                Ok(answer) if [202, 429, 503].contains(&answer.status) => {}
                Ok(answer) => bail!("an order was answered with {}: {}", answer.status, answer.body),
                // The ingress died, or came back on the way: nobody knows, so the client asks again.
                Err(_) => {}
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "order {client_order_id} has no outcome after {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(self.random.random_range(20..200))).await;
        }
    }

    async fn cancel(&mut self, order_id: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            match self.session.cancel(order_id).await {
                Ok(answer) if [200, 409].contains(&answer.status) => return Ok(()),
                Ok(answer) if [202, 422, 429, 503].contains(&answer.status) => {}
                Ok(answer) => bail!("a cancel was answered with {}: {}", answer.status, answer.body),
                Err(_) => {}
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "the cancel of {order_id} has no outcome after {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(self.random.random_range(20..200))).await;
        }
    }
}

/// Every acknowledged order stands in the projection exactly once, under the id that its client was
/// told, and none that was refused acted. Gives back how many orders were acknowledged.
pub async fn check_outcomes(asked: &[Known], database: &PgPool) -> anyhow::Result<usize> {
    let mut stored: BTreeMap<(i64, String), Vec<(i64, String)>> = BTreeMap::new();
    for row in sqlx::query("SELECT account_id, client_order_id, order_id, status FROM projection.orders")
        .fetch_all(database)
        .await?
    {
        let key = (row.try_get("account_id")?, row.try_get("client_order_id")?);
        stored
            .entry(key)
            .or_default()
            .push((row.try_get("order_id")?, row.try_get("status")?));
    }
    let mut acknowledged = 0;
    for known in asked {
        let orders = stored
            .get(&(known.account_id, known.client_order_id.clone()))
            .map_or(&[][..], Vec::as_slice);
        let acted = orders.iter().filter(|(_, status)| status != "REJECTED").count();
        ensure!(acted <= 1, "{known:?} acted {acted} times: {orders:?}");
        if let Some(order_id) = known.order_id {
            acknowledged += 1;
            ensure!(
                orders.iter().any(|(id, _)| *id == order_id),
                "{known:?} was acknowledged and is not there: {orders:?}"
            );
        }
        for (order_id, status) in orders {
            ensure!(
                !["PENDING", "ACCEPTED"].contains(&status.as_str()),
                "order {order_id} still waits for the book"
            );
        }
    }
    Ok(acknowledged)
}
