//! An operator who halts and resumes instruments, and closes and opens their sessions, while everything
//! else goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use brokerx_client::Api;
use rand::{RngExt, rngs::Xoshiro256PlusPlus};
use reqwest::Method;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(90);
/// The longest time that an instrument trades, and then does not, milliseconds.
const TRADES_MS: u64 = 3_000;
const RESTS_MS: u64 = 400;

/// The operator.
pub struct Operator {
    pub api: Api,
    pub key: String,
    pub symbols: Vec<String>,
    pub random: Xoshiro256PlusPlus,
}

impl Operator {
    /// Halts and resumes until told to stop, then leaves everything open. Returns how many halts there were.
    pub async fn operate(mut self, stop: Arc<AtomicBool>) -> anyhow::Result<usize> {
        let mut halts = 0;
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(self.random.random_range(0..TRADES_MS))).await;
            let symbol = self.symbols[self.random.random_range(0..self.symbols.len())].clone();
            let (stops, goes_on) = match self.random.random() {
                true => ("halt", "resume"),
                false => ("close", "open"),
            };
            self.act(&symbol, stops).await?;
            tokio::time::sleep(Duration::from_millis(self.random.random_range(0..RESTS_MS))).await;
            self.act(&symbol, goes_on).await?;
            halts += 1;
        }
        Ok(halts)
    }

    /// Asks until the action is done. Asking twice is safe: halting a halted instrument changes nothing.
    async fn act(&mut self, symbol: &str, action: &str) -> anyhow::Result<()> {
        let (path, body) = match action {
            "open" | "close" => (
                format!("/admin/v1/sessions/{action}"),
                Some(json!({ "symbols": [symbol] })),
            ),
            _ => (format!("/admin/v1/instruments/{symbol}/{action}"), None),
        };
        let started = Instant::now();
        loop {
            match self.api.operate(&self.key, Method::POST, &path, body.as_ref()).await {
                // The answer about sessions has an outcome for each symbol.
                Ok(answer) if answer.status == 200 && answer.body["items"].is_null() => return Ok(()),
                Ok(answer) if answer.status == 200 && answer.body["items"][0]["outcome"] == "done" => return Ok(()),
                Ok(answer) if answer.status == 200 => {}
                Ok(answer) if [202, 207, 422, 429, 503].contains(&answer.status) => {}
                Ok(answer) => bail!("{action} was answered with {}: {}", answer.status, answer.body),
                Err(_) => {}
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "{action} of {symbol} is not done after {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(self.random.random_range(50..250))).await;
        }
    }
}
