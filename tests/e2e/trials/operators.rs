//! Operators: what they ask for is done once and whole, and the audit knows how it ended.

use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::{Answer, Cents, eventually, place_order};
use brokerx_e2e::fixture::Fixture;
use reqwest::Method;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

/// A request of the operator with a key.
async fn keyed(fixture: &Fixture, path: &str, key: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
    let headers = [("X-API-Key", fixture.operator_key.as_str()), ("Idempotency-Key", key)];
    fixture.api.request(Method::POST, path, &headers, body).await
}

pub async fn all_sessions_close_with_one_key(fixture: &Fixture) -> anyhow::Result<()> {
    let before = fixture.instrument().await?;
    let key = fixture.unique("sessions-");
    let closed = keyed(fixture, "/admin/v1/sessions/close", &key, None).await?;
    let outcome = async {
        ensure!(
            closed.status == 200 && !closed.replayed,
            "{}: {}",
            closed.status,
            closed.body
        );
        let items = closed.body["items"].as_array().context("no items")?;
        ensure!(items.len() > 8, "more symbols than partitions: {}", closed.body);
        ensure!(items.iter().all(|item| item["outcome"] == "done"), "{}", closed.body);

        // A repeat answers the same, and leaves alone what was listed since.
        let after = fixture.instrument().await?;
        let again = keyed(fixture, "/admin/v1/sessions/close", &key, None).await?;
        ensure!(
            again.status == 200 && again.replayed,
            "{}: {}",
            again.status,
            again.body
        );
        ensure!(again.body == closed.body, "{} is not {}", again.body, closed.body);
        let client = fixture.funded_client(Cents(1_000_00), &[]).await?;
        let order = |id, symbol: &str| place_order(id, symbol, "buy", 1, Some(Cents(99_00)), "GTC");
        let refused = client.place(&order("closed", &before)).await?;
        ensure!(refused.code() == "MARKET_CLOSED", "{}", refused.body);
        client.place(&order("open", &after)).await?.expect(201)?;

        // The key belongs to that request.
        let body = json!({ "symbols": [before] });
        for (path, body) in [
            ("/admin/v1/sessions/open", None),
            ("/admin/v1/sessions/close", Some(&body)),
        ] {
            let other = keyed(fixture, path, &key, body).await?;
            ensure!(
                other.status == 409 && other.code() == "IDEMPOTENCY_MISMATCH",
                "{path}: {}",
                other.body
            );
        }
        anyhow::Ok(())
    };
    let outcome = outcome.await;
    let opened = keyed(fixture, "/admin/v1/sessions/open", &fixture.unique("sessions-"), None).await?;
    ensure!(opened.status == 200, "{}: {}", opened.status, opened.body);
    outcome?;

    // What was not done is in the status.
    let body = json!({ "symbols": [before, "NOSUCHTHING"] });
    let partly = keyed(
        fixture,
        "/admin/v1/sessions/open",
        &fixture.unique("sessions-"),
        Some(&body),
    )
    .await?;
    ensure!(partly.status == 207, "{}: {}", partly.status, partly.body);
    ensure!(partly.body["items"][0]["outcome"] == "done", "{}", partly.body);
    ensure!(
        partly.body["items"][1]["outcome"] == "UNKNOWN_SYMBOL",
        "{}",
        partly.body
    );
    Ok(())
}

/// The outcome in the audit of the newest action on a target; none while there is none.
async fn outcome(fixture: &Fixture, action: &str, target: &str) -> anyhow::Result<Option<String>> {
    let row: Option<Option<String>> = sqlx::query_scalar(
        "SELECT outcome FROM identity.operator_audit WHERE action = $1 AND target = $2 ORDER BY audit_id DESC LIMIT 1",
    )
    .bind(action)
    .bind(target)
    .fetch_optional(&fixture.database)
    .await?;
    Ok(row.flatten())
}

pub async fn an_action_ends_by_itself_when_its_request_does_not_wait(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let halt = format!("/admin/v1/instruments/{symbol}/halt");
    let resume = format!("/admin/v1/instruments/{symbol}/resume");
    // Shorter than the session after which another instance would take over.
    fixture.system().process("matcher").pause();
    let request = fixture.api.operate(&fixture.operator_key, Method::POST, &halt, None);
    let given_up = tokio::time::timeout(Duration::from_millis(500), request).await;
    fixture.system().process("matcher").resume();
    ensure!(given_up.is_err(), "the matcher was frozen and answered");
    eventually("the halt is audited as done", LIMIT, async || {
        Ok(outcome(fixture, "halt", &symbol).await?.as_deref() == Some("done"))
    })
    .await?;

    // Nobody answers for longer than a request waits.
    fixture.system().process("matcher").kill();
    let late = fixture
        .api
        .operate(&fixture.operator_key, Method::POST, &resume, None)
        .await;
    fixture.system().restart("matcher")?;
    let late = late?;
    ensure!(late.status == 202, "{}: {}", late.status, late.body);
    eventually("the resume is audited as it ended", LIMIT, async || {
        let outcome = outcome(fixture, "resume", &symbol).await?;
        Ok(outcome.is_some_and(|outcome| outcome == "done" || outcome == "EXPIRED_REQUEST"))
    })
    .await
}

pub async fn keys_end_and_are_taken_back(fixture: &Fixture) -> anyhow::Result<()> {
    let run = |arguments: &[&str]| -> anyhow::Result<(bool, String)> {
        let output = fixture.system().output("brokerx-operator", arguments)?;
        Ok((output.status.success(), String::from_utf8(output.stdout)?))
    };
    let email = format!("{}@example.com", fixture.unique("keys"));
    let add = |lifetime| -> anyhow::Result<(String, String)> {
        let (_, line) = run(&["add", &email, "--lifetime", lifetime])?;
        let added: Value = serde_json::from_str(&line)?;
        let text = |name: &str| added[name].as_str().map(str::to_owned);
        Ok((
            text("key_id").context("no key_id")?,
            text("api_key").context("no api_key")?,
        ))
    };
    let listed = |all: &[&str]| -> anyhow::Result<Vec<Value>> {
        let (_, lines) = run(&[&["keys"], all].concat())?;
        let keys: Result<Vec<Value>, _> = lines.lines().map(serde_json::from_str).collect();
        Ok(keys?.into_iter().filter(|key| key["email"] == email.as_str()).collect())
    };
    let status = async |api_key: &str| -> anyhow::Result<u16> {
        let path = "/admin/v1/instruments/NOSUCHTHING/halt";
        Ok(fixture.api.operate(api_key, Method::POST, path, None).await?.status)
    };
    let (one, one_key) = add("90d")?;
    let (two, two_key) = add("90d")?;
    let (_, three_key) = add("1m")?;
    let keys = listed(&[])?;
    ensure!(
        keys.len() == 3 && keys.iter().all(|key| key["state"] == "live"),
        "{keys:?}"
    );
    let text = serde_json::to_string(&keys)?;
    ensure!(
        [&one_key, &two_key, &three_key]
            .iter()
            .all(|key| !text.contains(key.as_str())),
        "a secret is listed"
    );
    ensure!(status(&one_key).await? == 404);

    // The end of its time.
    ensure!(status(&three_key).await? == 404);
    sqlx::query("UPDATE identity.api_keys SET expires_at = now() WHERE expires_at < now() + interval '2 minutes'")
        .execute(&fixture.database)
        .await?;
    ensure!(status(&three_key).await? == 401);

    ensure!(run(&["revoke", &one, "--by", "somebody"])?.0);
    let audited: Vec<(String, String)> = sqlx::query_as(
        "SELECT action, request ->> 'by' FROM identity.operator_audit WHERE target = $1 AND outcome = 'done'
         ORDER BY audit_id",
    )
    .bind(&one)
    .fetch_all(&fixture.database)
    .await?;
    let actions: Vec<&str> = audited.iter().map(|(action, _)| action.as_str()).collect();
    ensure!(
        actions == ["add_key", "revoke_key"] && audited[1].1 == "somebody",
        "{audited:?}"
    );
    ensure!(status(&one_key).await? == 401 && status(&two_key).await? == 404);
    ensure!(!run(&["revoke", &one])?.0, "a key was revoked twice");
    ensure!(run(&["revoke", &email])?.0);
    ensure!(status(&two_key).await? == 401);
    ensure!(listed(&[])?.is_empty());
    let ended: Vec<String> = listed(&["--all"])?.iter().map(|key| key["state"].to_string()).collect();
    ensure!(
        ended == ["\"revoked\"", "\"revoked\"", "\"expired\""],
        "{ended:?} of {one} and {two}"
    );
    Ok(())
}
