//! Second instances of services: trials that ask a process about a partition end them first, since only the instance
//! that has a partition speaks for it.

use std::time::Duration;

use anyhow::Context;
use brokerx_client::eventually;
use brokerx_schemas::{AccountCommand, BookCommand, Message};
use serde_json::Value;

use crate::fixture::Fixture;

/// Longer than a broker remembers a member that is gone, and than the lease of the projection.
const LIMIT: Duration = Duration::from_secs(60);

/// Ends every instance of a service but its first, and waits until the first ones have all partitions and are ready.
///
/// # Errors
/// When they do not get them.
pub async fn end_second_instances(fixture: &Fixture) -> anyhow::Result<()> {
    tokio::task::block_in_place(|| {
        for process in fixture.system().processes_mut() {
            let is_second = ["settlement-", "matcher-"]
                .iter()
                .any(|name| process.name().starts_with(name));
            if is_second {
                process.stop();
            }
        }
    });
    for (service, inbox) in [("settlement", AccountCommand::TOPIC), ("matcher", BookCommand::TOPIC)] {
        let live = format!("{} partitions live", fixture.partitions(inbox));
        eventually(&format!("{service} has all partitions"), LIMIT, async || {
            // It may just be starting.
            let Ok((ready, said)) = get(fixture, service, "/ready").await else {
                return Ok(false);
            };
            Ok(ready && said.contains(&live))
        })
        .await?;
    }
    eventually("settlement projects", LIMIT, async || {
        let (_, metrics) = get(fixture, "settlement", "/metrics").await?;
        Ok(metrics.lines().any(|line| line == "brokerx_projector_owner 1"))
    })
    .await
}

/// What a process answers where it is probed: whether with success, and what.
///
/// # Errors
/// When it does not answer.
pub async fn get(fixture: &Fixture, process: &str, path: &str) -> anyhow::Result<(bool, String)> {
    let url = format!("{}{path}", fixture.system().metrics_url(process));
    let answer = reqwest::get(&url).await.context(url)?;
    Ok((answer.status().is_success(), answer.text().await?))
}

/// What a process says of one of its checks, of what it answers at `/ready`.
///
/// # Errors
/// When it has no such check.
pub fn detail(ready: &str, check: &str) -> anyhow::Result<String> {
    let said: Value = serde_json::from_str(ready)?;
    let checks = said["checks"].as_array().context("no checks")?;
    let found = checks.iter().find(|found| found["name"] == check);
    let detail = found.with_context(|| format!("no check {check}: {said}"))?["detail"].as_str();
    Ok(detail.unwrap_or_default().to_owned())
}
