//! `./brokerx topics` against the running cluster.

use anyhow::ensure;
use brokerx_e2e::fixture::Fixture;
use serde_json::Value;

/// Runs the tool; returns whether it succeeded, and its standard output.
fn run(fixture: &Fixture, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let output = fixture.system().output("brokerx-topics", arguments)?;
    Ok((output.status.success(), String::from_utf8(output.stdout)?))
}

pub async fn applying_twice_changes_nothing(fixture: &Fixture) -> anyhow::Result<()> {
    let genesis = || {
        run(
            fixture,
            &[
                "tail",
                "account-commands",
                "--partition",
                "0",
                "--from",
                "0",
                "--limit",
                "1",
            ],
        )
    };
    let before = genesis()?;
    let (well, _) = run(fixture, &["apply"])?;
    ensure!(well, "the second apply failed");
    ensure!(before.0 && before == genesis()?, "the genesis record is another");
    Ok(())
}

pub async fn the_cluster_does_not_drift_from_the_catalogue(fixture: &Fixture) -> anyhow::Result<()> {
    let (well, text) = run(fixture, &["diff"])?;
    ensure!(well, "{text}");
    Ok(())
}

pub async fn tail_decodes_to_json(fixture: &Fixture) -> anyhow::Result<()> {
    let (well, text) = run(fixture, &["tail", "instruments", "--from", "beginning", "--limit", "3"])?;
    ensure!(well, "{text}");
    let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(lines.len() == 3, "{} lines", lines.len());
    for line in &lines {
        ensure!(
            line["value"]["kind"] == "INSTRUMENT" && line["headers"]["seq"].is_string(),
            "{line}"
        );
    }
    Ok(())
}
