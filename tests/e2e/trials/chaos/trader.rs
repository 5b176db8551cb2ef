//! A client that places, changes and cancels orders, and asks again until it knows each outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use brokerx_client::{Answer, Cents, Session, place_order};
use brokerx_e2e::audit::Told;
use brokerx_schemas::OrderStatus;
use rand::{RngExt, rngs::Xoshiro256PlusPlus};
use reqwest::Method;
use serde_json::{Value, json};

use super::outcomes::Known;

const PATIENCE: Duration = Duration::from_secs(90);

/// A client that decides at random what to do next.
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

    /// Trades until told to stop; returns every order with what the client was told about it.
    pub async fn trade(mut self, stop: Arc<AtomicBool>) -> anyhow::Result<Vec<Known>> {
        let account_id = self.session.account_id.parse()?;
        let mut known: Vec<Known> = Vec::new();
        // Indices into `known`.
        let mut open: Vec<usize> = Vec::new();
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if !open.is_empty() && self.random.random_ratio(1, 3) {
                let index = open.swap_remove(self.random.random_range(0..open.len()));
                self.cancel(&mut known[index]).await?;
                continue;
            }
            if self.random.random_ratio(1, 100) {
                self.cancel_all().await?;
                open.clear();
                continue;
            }
            if !open.is_empty() && self.random.random_ratio(1, 6) {
                let index = open[self.random.random_range(0..open.len())];
                self.replace(&mut known[index]).await?;
                continue;
            }
            let mut order = Known {
                account_id,
                client_order_id: format!("o{number}"),
                told: Vec::new(),
            };
            self.place(&mut order).await?;
            if order.told.last().is_some_and(|told| !told.status.is_terminal()) {
                open.push(known.len());
            }
            known.push(order);
        }
        Ok(known)
    }

    /// Places an order and asks again, with the same id, until the outcome is known.
    async fn place(&mut self, known: &mut Known) -> anyhow::Result<()> {
        let client_order_id = known.client_order_id.as_str();
        let order = self.order(client_order_id);
        let started = Instant::now();
        loop {
            match self.session.place(&order).await {
                Ok(answer) if [200, 201, 422].contains(&answer.status) => {
                    known.told.extend(placed(&answer)?);
                    return Ok(());
                }
                Ok(answer) if [202, 429, 503].contains(&answer.status) => {}
                Ok(answer) => bail!("an order was answered with {}: {}", answer.status, answer.body),
                // The ingress died or was starting again: the outcome is not known, so the client asks again.
                Err(_) => {}
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "order {client_order_id} has no outcome after {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(self.random.random_range(20..200))).await;
        }
    }

    /// A random order.
    fn order(&mut self, client_order_id: &str) -> Value {
        let random = &mut self.random;
        let symbol = &self.symbols[random.random_range(0..self.symbols.len())];
        let direction = if random.random() { "buy" } else { "sell" };
        let price = (!random.random_ratio(1, 8)).then(|| Cents(random.random_range(99_00..=101_00)));
        let time_in_force = ["GTC", "GTC", "DAY", "IOC", "FOK"][random.random_range(0..5)];
        let time_in_force = if price.is_some() { time_in_force } else { "IOC" };
        let quantity = random.random_range(1..=12);
        let mut order = place_order(client_order_id, symbol, direction, quantity, price, time_in_force);
        let fields = &mut order["order"];
        let rests = price.is_some() && ["GTC", "DAY"].contains(&time_in_force);
        match random.random_range(0..10) {
            0 if rests => fields["post_only"] = json!(true),
            1 | 2 if rests => fields["display_quantity"] = json!(random.random_range(1..=quantity)),
            3 | 4 => {
                fields["stop_price"] = json!(Cents(random.random_range(99_00..=101_00)).to_string());
                fields["order_type"] = json!(if price.is_some() { "stop_limit" } else { "stop" });
            }
            5 => fields["self_trade_prevention"] = json!("cancel_both"),
            6 => fields["self_trade_prevention"] = json!("cancel_resting"),
            _ => {}
        }
        order
    }

    /// Asks once to cancel everything; the audit checks what came of it.
    async fn cancel_all(&self) -> anyhow::Result<()> {
        let answer = self
            .session
            .request(Method::POST, "/api/v1/orders/cancel-all", None, None)
            .await;
        match answer {
            Ok(answer) if ![200, 202, 422, 429, 503].contains(&answer.status) => {
                bail!("a cancel of all was answered with {}: {}", answer.status, answer.body)
            }
            _ => Ok(()),
        }
    }

    /// Asks once for other terms. When the change is refused or late, the client goes on with the order.
    async fn replace(&mut self, known: &mut Known) -> anyhow::Result<()> {
        let Some(told) = known.told.last() else { return Ok(()) };
        let mut terms = json!({"client_version": told.version, "quantity": self.random.random_range(1..=15)});
        if self.random.random() {
            terms["price"] = json!(Cents(self.random.random_range(99_00..=101_00)).to_string());
        }
        let path = format!("/api/v1/orders/{}/replace", told.order_id);
        let body = json!({ "order": terms });
        match self.session.request(Method::POST, &path, None, Some(&body)).await {
            Ok(answer) if [200, 409, 422].contains(&answer.status) => known.told.extend(shown(&answer)?),
            Ok(answer) if [202, 429, 503].contains(&answer.status) => {}
            Ok(answer) => bail!("a replace was answered with {}: {}", answer.status, answer.body),
            // The ingress died: the outcome is not known, and the next cancel or the audit will show it.
            Err(_) => {}
        }
        Ok(())
    }

    async fn cancel(&mut self, known: &mut Known) -> anyhow::Result<()> {
        let Some(order_id) = known.told.last().map(|told| told.order_id.to_string()) else {
            return Ok(());
        };
        let started = Instant::now();
        loop {
            match self.session.cancel(&order_id).await {
                Ok(answer) if [200, 409, 422].contains(&answer.status) => {
                    known.told.extend(cancelled(&answer)?);
                    if answer.status != 422 {
                        return Ok(());
                    }
                }
                Ok(answer) if [202, 429, 503].contains(&answer.status) => {}
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

/// The order that an answer shows.
fn shown(answer: &Answer) -> anyhow::Result<Option<Told>> {
    let order = Some(&answer.body["order"]).filter(|order| !order.is_null());
    order.map(Told::of).transpose()
}

/// The order that the answer to a new order shows: with 200 and 201 an order that was taken, with 422 a
/// rejected one whose reason is the answer's code. No order of a trader is refused before it is one: its symbols are
/// listed, also while an ingress that has just started is still reading them.
fn placed(answer: &Answer) -> anyhow::Result<Option<Told>> {
    let told = shown(answer)?;
    let fits = match (answer.status, &told) {
        (422, Some(told)) => {
            let reason = serde_json::to_value(told.reason)?;
            told.status == OrderStatus::Rejected && reason == answer.code()
        }
        (_, Some(told)) => told.status != OrderStatus::Rejected,
        (_, None) => false,
    };
    ensure!(fits, "a contradictory answer {}: {}", answer.status, answer.body);
    Ok(told)
}

/// The order that the answer to a cancel shows: with 200 a cancelled order, with `ORDER_CLOSED` one that
/// had ended before.
fn cancelled(answer: &Answer) -> anyhow::Result<Option<Told>> {
    let told = shown(answer)?;
    let status = told.map(|told| told.status);
    let fits = match (answer.status, answer.code()) {
        (200, _) => status == Some(OrderStatus::Cancelled),
        (_, "ORDER_CLOSED") => status.is_some_and(OrderStatus::is_terminal),
        _ => true,
    };
    ensure!(fits, "a contradictory answer {}: {}", answer.status, answer.body);
    Ok(told)
}
