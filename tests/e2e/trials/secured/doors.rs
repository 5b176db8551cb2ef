//! The schema registry and the payment provider ask who it is, and give nothing to whoever cannot say.

use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::{Cents, Session, eventually};
use brokerx_e2e::fixture::Fixture;
use brokerx_e2e::instances::get;
use brokerx_launcher::home::secrets::REGISTRY_CLIENTS;
use reqwest::{Client, Method, StatusCode};

use super::programs::side_by_side;

const LIMIT: Duration = Duration::from_secs(30);
const PROVIDER_TOKEN: &str = "BROKERX_PROVIDER_TOKEN";

/// Everybody who is known reads; who makes the schemas also writes; nobody else gets anything.
pub async fn the_registry_knows_its_clients(fixture: &Fixture, http: &Client) -> anyhow::Result<()> {
    let (url, tokens) = {
        let system = fixture.system();
        let platform = system.platform();
        (platform.registry_url(), platform.secrets().registry_tokens.clone())
    };
    let body = r#"{"schema": "{\"type\": \"string\"}", "schemaType": "AVRO"}"#;
    let level = r#"{"compatibility": "NONE"}"#;
    let reads = [
        "/subjects",
        "/subjects/trades-value/versions/latest",
        "/config/trades-value",
    ];
    let writes = [
        (Method::POST, "/subjects/stranger-value/versions", body),
        (Method::PUT, "/config/trades-value", level),
        (Method::DELETE, "/subjects/trades-value", ""),
    ];
    let ask = async |method: &Method, path: &str, body: &str, token: Option<&str>| {
        let mut question = http
            .request(method.clone(), format!("{url}{path}"))
            .body(body.to_owned());
        question = question.header("content-type", "application/vnd.schemaregistry.v1+json");
        if let Some(token) = token {
            question = question.bearer_auth(token);
        }
        anyhow::Ok(question.send().await?.status())
    };
    let reader = tokens.get("readers").context("readers have no token")?;
    // The same claims by another signature: that of another reader's.
    let (claims, _) = reader.rsplit_once('.').context("a token without a signature")?;
    let (_, signature) = tokens["matcher"]
        .rsplit_once('.')
        .context("a token without a signature")?;
    let forged = format!("{claims}.{signature}");
    for token in [None, Some("wrong"), Some(forged.as_str())] {
        for path in reads {
            let status = ask(&Method::GET, path, "", token).await?;
            ensure!(status == StatusCode::UNAUTHORIZED, "{path} with {token:?}: {status}");
        }
        for (method, path, body) in &writes {
            let status = ask(method, path, body, token).await?;
            ensure!(
                status == StatusCode::UNAUTHORIZED,
                "{method} {path} with {token:?}: {status}"
            );
        }
    }
    for (client, role) in REGISTRY_CLIENTS {
        let token = tokens.get(client).with_context(|| format!("{client} has no token"))?;
        for path in reads {
            let status = ask(&Method::GET, path, "", Some(token)).await?;
            ensure!(status == StatusCode::OK, "{client}: {path}: {status}");
        }
        let may_write = role == "sr-developer";
        for (method, path, body) in writes.iter().filter(|_| !may_write) {
            let status = ask(method, path, body, Some(token)).await?;
            ensure!(status == StatusCode::FORBIDDEN, "{client}: {method} {path}: {status}");
        }
    }
    // Our own tools say why they get nothing.
    let tokens = [None, Some("wrong")];
    let commands = tokens.map(|token| {
        let system = fixture.system();
        let mut command = system.command("brokerx-topics", &["diff", "--wait-seconds-max", "2"]);
        match token {
            None => command.env_remove("BROKERX_SCHEMA_REGISTRY_TOKEN"),
            Some(token) => command.env("BROKERX_SCHEMA_REGISTRY_TOKEN", token),
        };
        command
    });
    for (token, output) in tokens.iter().zip(side_by_side(commands)?) {
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success() && said.contains("401"), "{token:?}: {said}");
    }
    Ok(())
}

/// A provider that does not take our token loses no payment: it waits, loudly, and goes on with the right one.
pub async fn the_provider_knows_settlement(fixture: &Fixture, http: &Client, client: &Session) -> anyhow::Result<()> {
    let (url, right) = {
        let system = fixture.system();
        let port = system.options().ports.provider;
        let token = system.platform().secrets().provider_token.clone();
        (format!("https://127.0.0.1:{port}/v1/payments/1"), token)
    };
    let order = r#"{"direction": "deposit", "amount_cents": 100, "currency": "USD"}"#;
    let almost = format!("{}x", &right[1..]);
    for token in [None, Some("wrong"), Some(almost.as_str())] {
        for method in [Method::GET, Method::PUT] {
            let mut question = http.request(method, &url).body(order);
            question = question.header("content-type", "application/json");
            if let Some(token) = token {
                question = question.bearer_auth(token);
            }
            let status = question.send().await?.status();
            ensure!(status == StatusCode::UNAUTHORIZED, "{token:?}: {status}");
        }
    }
    let known = http.get(&url).bearer_auth(&right).send().await?.status();
    ensure!(
        known == StatusCode::NOT_FOUND,
        "nobody has asked for that payment: {known}"
    );

    restart_provider(fixture, "another")?;
    let deposited = client.deposit(Cents(2_00), "while-we-are-not-known").await?;
    ensure!(deposited.status == 202, "{}: {}", deposited.status, deposited.body);
    eventually("settlement says that it is not let in", LIMIT, async || {
        let (is_ready, said) = get(fixture, "settlement", "/ready").await?;
        Ok(!is_ready && said.contains("does not take our credential") && !said.contains("wrong"))
    })
    .await?;
    let waits = client.deposit(Cents(2_00), "while-we-are-not-known").await?;
    ensure!(waits.body["status"] == "pending", "it is decided: {}", waits.body);
    restart_provider(fixture, &right)?;
    eventually("the payment is settled", LIMIT, async || {
        let answer = client.deposit(Cents(2_00), "while-we-are-not-known").await?;
        Ok(answer.body["status"] == "settled")
    })
    .await?;
    eventually("settlement is ready again", LIMIT, async || {
        Ok(get(fixture, "settlement", "/ready").await?.0)
    })
    .await?;
    // What it proves itself by is in no log.
    let system = fixture.system();
    let mut secrets: Vec<&String> = system.platform().secrets().registry_tokens.values().collect();
    secrets.push(&right);
    for log in brokerx_launcher::home::logs::all(system.layout()) {
        let text = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
        let told = secrets.iter().any(|secret| text.contains(secret.as_str()));
        ensure!(!told, "a secret is in {}", log.display());
    }
    Ok(())
}

/// Starts the provider again, as one that wants this token.
fn restart_provider(fixture: &Fixture, token: &str) -> anyhow::Result<()> {
    let mut system = fixture.system();
    let environment = &mut system.process("provider").spec_mut().environment;
    let told = environment.iter_mut().find(|(name, _)| name == PROVIDER_TOKEN);
    token.clone_into(&mut told.context("the provider is told no token")?.1);
    system.restart("provider")?;
    Ok(())
}
