//! Registrations: who can take an e-mail, who learns of it, and what a flood of them costs.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::{Answer, Api, eventually, mails_to};
use brokerx_e2e::fixture::{Fixture, PASSWORD};
use reqwest::{Client, Method};

const LIMIT: Duration = Duration::from_secs(90);
const OTHER: &str = "Other-Horse-9";

/// A page: its status and text.
async fn page(request: reqwest::RequestBuilder) -> anyhow::Result<(u16, String)> {
    let response = request.send().await?;
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    ensure!(
        header("content-type").starts_with("text/html"),
        "{}",
        header("content-type")
    );
    let policy = header("content-security-policy");
    ensure!(
        policy.contains("default-src 'none'") && policy.contains("form-action 'self'"),
        "{policy}"
    );
    Ok((response.status().as_u16(), response.text().await?))
}

fn token(link: &str) -> anyhow::Result<&str> {
    Ok(link
        .split_once("?token=")
        .with_context(|| format!("no token in {link}"))?
        .1)
}

async fn is_not_verified(fixture: &Fixture, email: &str) -> anyhow::Result<()> {
    let early = fixture.api.log_in(email, PASSWORD).await?;
    ensure!(early.code() == "NOT_VERIFIED", "{}: {}", early.status, early.body);
    Ok(())
}

pub async fn a_link_that_is_opened_changes_nothing(fixture: &Fixture) -> anyhow::Result<()> {
    let api = &fixture.api;
    let email = format!("{}@example.com", fixture.unique("link"));
    api.register_in_turn(&email, PASSWORD, "A Client").await?.expect(201)?;
    let link = fixture.link(&email).await?;
    let browser = Client::new();
    // As a mail scanner does.
    let head = browser.head(&link).send().await?;
    ensure!(head.status() == 200, "{}", head.status());
    for _ in 0..2 {
        let (status, text) = page(browser.get(&link)).await?;
        ensure!(status == 200 && text.contains("<button>"), "{status}: {text}");
        ensure!(!text.contains("<script"), "{text}");
    }
    is_not_verified(fixture, &email).await?;

    // As the button does; then again, in each of the ways.
    let action = link.split_once('?').context("a link without a query")?.0;
    let press = || {
        let form = browser
            .post(action)
            .header("content-type", "application/x-www-form-urlencoded");
        Ok::<_, anyhow::Error>(form.body(format!("token={}", token(&link)?)))
    };
    let (status, text) = page(press()?).await?;
    ensure!(status == 200 && text.contains("is confirmed"), "{status}: {text}");
    api.log_in(&email, PASSWORD).await?.expect(200)?;
    for request in [press()?, browser.get(&link)] {
        let (status, text) = page(request).await?;
        ensure!(status == 200 && text.contains("already"), "{status}: {text}");
    }
    let again = api.open_link(&link).await?;
    ensure!(
        again.status == 200 && again.replayed && again.body["status"] == "active",
        "{}",
        again.body
    );

    let bad = page(browser.get(format!("{link}x"))).await?;
    ensure!(bad.0 == 400, "{bad:?}");
    Ok(())
}

pub async fn a_newer_registration_takes_the_place_of_an_older_one(fixture: &Fixture) -> anyhow::Result<()> {
    let api = &fixture.api;
    let email = format!("{}@example.com", fixture.unique("twice"));
    // A stranger was first.
    let first = api.register_in_turn(&email, OTHER, "A Stranger").await?.expect(201)?;
    let older = fixture.link(&email).await?;
    let second = api
        .register_in_turn(&email.to_uppercase(), PASSWORD, "Its Owner")
        .await?
        .expect(201)?;
    ensure!(first["client_id"] != second["client_id"], "{first} {second}");
    eventually("the second mail comes", LIMIT, async || {
        Ok(fixture.link(&email).await? != older)
    })
    .await?;
    let newer = fixture.link(&email).await?;
    let dead = api.open_link(&older).await?;
    ensure!(
        dead.status == 410 && dead.code() == "LINK_ENDED",
        "{}: {}",
        dead.status,
        dead.body
    );
    let stranger = api.log_in(&email, OTHER).await?;
    ensure!(stranger.status == 401, "{}: {}", stranger.status, stranger.body);
    is_not_verified(fixture, &email).await?;
    api.open_link(&newer).await?.expect(200)?;
    api.log_in(&email, PASSWORD).await?.expect(200)?;
    let dead = api.open_link(&older).await?;
    ensure!(dead.status == 410, "{}: {}", dead.status, dead.body);
    Ok(())
}

pub async fn nobody_learns_who_is_a_client(fixture: &Fixture) -> anyhow::Result<()> {
    let api = &fixture.api;
    let known = fixture.verified().await?;
    let new = format!("{}@example.com", fixture.unique("new"));
    let shape = |answer: &Answer| {
        let names: Vec<_> = answer
            .body
            .as_object()
            .into_iter()
            .flat_map(|body| body.keys().cloned())
            .collect();
        (answer.status, names, answer.body["status"].clone())
    };
    let mut told = Vec::new();
    for email in [&known, &new] {
        let one = api.register_in_turn(email, OTHER, "Somebody").await?;
        let two = api.register_in_turn(email, OTHER, "Somebody").await?;
        ensure!(
            one.body["client_id"] != two.body["client_id"],
            "{} {}",
            one.body,
            two.body
        );
        let login = api.log_in(email, OTHER).await?;
        told.push((shape(&one), shape(&two), login.status, login.code().to_owned()));
    }
    ensure!(
        told[0] == told[1],
        "a known e-mail answers {:?}, a new one {:?}",
        told[0],
        told[1]
    );
    api.log_in(&known, PASSWORD).await?.expect(200)?;
    let mail_directory = fixture.system().mail_directory();
    eventually("the client is told", LIMIT, async || {
        let mails = mails_to(&mail_directory, &known)?;
        Ok(mails.iter().any(|text| text.contains("You have an account already")))
    })
    .await
}

pub async fn a_flood_of_registrations_stops_nobody(fixture: &Fixture) -> anyhow::Result<()> {
    let client = fixture.verified().await?;
    let flooder = fixture.api.from_address(IpAddr::from(Ipv4Addr::new(127, 78, 1, 1)))?;
    let elsewhere = fixture.api.from_address(IpAddr::from(Ipv4Addr::new(127, 78, 1, 2)))?;
    let prefix = fixture.unique("flood");
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..300 {
        let (api, email) = (flooder.clone(), format!("{prefix}-{number}@example.com"));
        flood.spawn(async move { register(&api, &email).await });
    }
    for _ in 0..5 {
        elsewhere.log_in(&client, PASSWORD).await?.expect(200)?;
    }
    let statuses: Vec<u16> = flood.join_all().await.into_iter().collect::<anyhow::Result<_>>()?;
    let limited = statuses.iter().filter(|status| **status == 429).count();
    ensure!(limited >= 150, "only {limited} of 300 were refused: {statuses:?}");
    let others = format!("{prefix}-elsewhere@example.com");
    elsewhere.register(&others, PASSWORD, "Elsewhere").await?.expect(201)?;

    // Settlement hears of an account once its client is active.
    let accounts = async |email: &str| -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar(
            "SELECT count(*) FROM projection.accounts WHERE account_id IN
               (SELECT account_id FROM identity.registrations WHERE email_key LIKE $1
                UNION ALL SELECT account_id FROM identity.clients WHERE email_key LIKE $1)",
        )
        .bind(email)
        .fetch_one(&fixture.database)
        .await?)
    };
    let link = fixture.link(&others).await?;
    fixture.api.open_link(&link).await?.expect(200)?;
    eventually("the account of the active one is there", LIMIT, async || {
        Ok(accounts(&others).await? == 1)
    })
    .await?;
    ensure!(
        accounts(&format!("{prefix}-%")).await? == 1,
        "pending ones have accounts"
    );

    // Their end comes, and nothing of them is left.
    sqlx::query("UPDATE identity.registrations SET created_at = now() - interval '5 days' WHERE email_key LIKE $1")
        .bind(format!("{prefix}-%"))
        .execute(&fixture.database)
        .await?;
    eventually("old registrations are deleted", LIMIT, async || {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM identity.registrations WHERE email_key LIKE $1")
            .bind(format!("{prefix}-%"))
            .fetch_one(&fixture.database)
            .await?;
        Ok(left == 0)
    })
    .await
}

async fn register(api: &Api, email: &str) -> anyhow::Result<u16> {
    let body = serde_json::json!({"email": email, "password": PASSWORD, "name": "Flood"});
    let answer = api
        .request(Method::POST, "/api/v1/clients/register", &[], Some(&body))
        .await?;
    Ok(answer.status)
}
