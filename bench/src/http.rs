//! Orders over HTTP by an open-loop generator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use brokerx_client::{Api, Cents, Session, place_order, verification_link};
use reqwest::Method;
use serde_json::json;
use tokio::sync::Mutex;

use crate::options::Options;
use crate::pace::Pace;
use crate::rounds::Latencies;

const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "Correct-Horse-9";

/// Clients with money and shares.
pub struct Clients(Vec<Arc<Session>>);

impl Clients {
    /// Registers the clients, verifies them, logs them in, and gives them money and shares.
    pub async fn prepare(options: &Options, api: &Api) -> anyhow::Result<Self> {
        let mut clients = Vec::new();
        for number in 0..options.http_clients {
            clients.push(Arc::new(join(options, api, number).await?));
        }
        Ok(Self(clients))
    }
}

/// Measures latencies at a rate, from the moment at which an order was due until its outcome. The round keeps the
/// orders' ids different from those of other rounds.
pub async fn measure(
    options: &Options,
    Clients(clients): &Clients,
    (round, rate): (u32, u32),
) -> anyhow::Result<Latencies> {
    let pace = Pace::new(rate, options.seconds);
    let latencies = Arc::new(Mutex::new(Latencies::from(pace.measured_from())));
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..pace.count() {
        let due = pace.due(number);
        tokio::time::sleep_until(due.into()).await;
        let client = Arc::clone(&clients[number as usize % clients.len()]);
        let latencies = Arc::clone(&latencies);
        let turn = number / options.http_clients;
        let direction = if (number + turn).is_multiple_of(2) {
            "buy"
        } else {
            "sell"
        };
        let symbol = format!("BENCH{}", (number / 2) % 16);
        requests.spawn(async move {
            let order = place_order(
                &format!("{round}-{rate}-{number}"),
                &symbol,
                direction,
                1,
                Some(Cents(10_00)),
                "GTC",
            );
            let answer = client.place(&order).await;
            let mut latencies = latencies.lock().await;
            // Only an order that was accepted is measured; one that was refused or late counts as failed.
            match answer {
                Ok(answer) if answer.status == 201 => latencies.record(due),
                _ => latencies.failed += 1,
            }
        });
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
    let latencies = Arc::into_inner(latencies).context("a request outlived the measurement")?;
    Ok(latencies.into_inner())
}

async fn join(options: &Options, api: &Api, number: u32) -> anyhow::Result<Session> {
    let email = format!("bench-{}-{number}@example.com", uuid::Uuid::new_v4().simple());
    api.register_in_turn(&email, PASSWORD, "Bench").await?.expect(201)?;
    let link = verification_link(&options.mail_dir, &email, LIMIT).await?;
    api.open_link(&link).await?.expect(200)?;
    let session = Session::new(api, api.log_in(&email, PASSWORD).await?).await?;
    let started = Instant::now();
    loop {
        let answer = session.deposit(Cents(10_000_00), "opening").await?;
        if answer.body["status"] == "settled" {
            break;
        }
        ensure!(
            started.elapsed() < LIMIT,
            "a deposit answered {}: {}",
            answer.status,
            answer.body
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let path = format!("/admin/v1/accounts/{}/transfers", session.account_id);
    for symbol in 0..16 {
        let body = json!({"symbol": format!("BENCH{symbol}"), "quantity": 5_000, "direction": "in", "price": "10.00"});
        api.operate(&options.operator_key, Method::POST, &path, Some(&body))
            .await?
            .expect(201)?;
    }
    Ok(session)
}
