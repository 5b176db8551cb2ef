//! Wrong passwords: how many are tried, and who is not locked out by them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use brokerx_client::{Answer, Api, eventually};
use brokerx_e2e::fixture::{Fixture, PASSWORD};

const LIMIT: Duration = Duration::from_secs(90);
const WRONG: &str = "Wrong-Horse-9";

/// The system, asked from an address of its own: limits of addresses do not reach other trials.
fn from(fixture: &Fixture, third: u8, fourth: u8) -> anyhow::Result<Api> {
    fixture
        .api
        .from_address(IpAddr::from(Ipv4Addr::new(127, 77, third, fourth)))
}

/// As many wrong passwords at once.
async fn at_once(api: &Api, email: &str, count: usize) -> anyhow::Result<Vec<Answer>> {
    let api = Arc::new(api.clone());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..count {
        let (api, email) = (Arc::clone(&api), email.to_owned());
        all.spawn(async move { api.log_in(&email, WRONG).await });
    }
    all.join_all().await.into_iter().collect()
}

pub async fn sixty_at_once_are_five_tries(fixture: &Fixture) -> anyhow::Result<()> {
    let email = fixture.verified().await?;
    // An e-mail that nobody has is answered in the same way.
    let nobody = format!("{}@example.com", fixture.unique("nobody"));
    for (address, email) in [(1, &email), (2, &nobody)] {
        let api = from(fixture, 1, address)?;
        let answers = at_once(&api, email, 60).await?;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        ensure!(
            count(401) == 5 && count(429) == 55,
            "{} tried, {} refused",
            count(401),
            count(429)
        );
        let refused = answers.iter().filter(|answer| answer.status == 429);
        for answer in refused {
            ensure!(answer.code() == "LOGIN_LIMITED", "{}", answer.body);
            ensure!(
                answer.retry_after_seconds.is_some_and(|seconds| seconds > 600),
                "{:?}",
                answer.retry_after_seconds
            );
        }
        let right = api.log_in(email, PASSWORD).await?;
        ensure!(right.status == 429, "from there also the right one: {}", right.body);
    }
    from(fixture, 1, 3)?.log_in(&email, PASSWORD).await?.expect(200)?;

    // The audit has the tries, the first refusal, and a sum.
    let rows = async |outcome: &str| -> anyhow::Result<(i64, i64)> {
        Ok(sqlx::query_as(
            "SELECT count(*), coalesce(sum(refused), 0)::bigint FROM identity.login_attempts
             WHERE email_key = $1 AND outcome = $2",
        )
        .bind(&email)
        .bind(outcome)
        .fetch_one(&fixture.database)
        .await?)
    };
    ensure!(rows("WRONG_CREDENTIALS").await?.0 == 5);
    ensure!(rows("LIMITED").await?.0 == 1);
    eventually("the refusals are summed up", LIMIT, async || {
        Ok(rows("LIMITED").await? == (1, 55))
    })
    .await
}

pub async fn right_passwords_are_limited_too(fixture: &Fixture) -> anyhow::Result<()> {
    let pending = format!("{}@example.com", fixture.unique("pending"));
    fixture
        .api
        .register_in_turn(&pending, PASSWORD, "Pending")
        .await?
        .expect(201)?;
    let client = fixture.verified().await?;
    for (fourth, email, status, outcome) in [(1, &pending, 403, "NOT_VERIFIED"), (2, &client, 200, "SUCCEEDED")] {
        let api = from(fixture, 5, fourth)?;
        let begun = Instant::now();
        let mut told = 0;
        let refused = loop {
            let answer = api.log_in(email, PASSWORD).await?;
            if answer.status != status {
                break answer;
            }
            told += 1;
            let allowed = 61 + begun.elapsed().as_secs() / 10;
            ensure!(told <= allowed, "{told} log-ins of {email}");
        };
        ensure!(
            refused.status == 429 && refused.code() == "LOGIN_LIMITED",
            "{}",
            refused.body
        );
        ensure!(told >= 60, "refused after {told}: {}", refused.body);
        from(fixture, 6, fourth)?.log_in(email, WRONG).await?.expect(401)?;

        // Of the log-ins before a confirmation, and of the refusals, the audit has the first and a sum.
        let rows = async |outcome: &str| -> anyhow::Result<(i64, i64)> {
            Ok(sqlx::query_as(
                "SELECT count(*), (count(*) + coalesce(sum(refused), 0))::bigint FROM identity.login_attempts
                 WHERE email_key = $1 AND outcome = $2",
            )
            .bind(email)
            .bind(outcome)
            .fetch_one(&fixture.database)
            .await?)
        };
        let told = told as i64;
        eventually("the log-ins are in the audit", LIMIT, async || {
            let written = if status == 403 { 1 } else { told };
            Ok(rows(outcome).await? == (written, told))
        })
        .await?;
        ensure!(rows("LIMITED").await? == (1, 1), "{:?}", rows("LIMITED").await?);
    }
    Ok(())
}

pub async fn nobody_is_locked_out_by_a_stranger(fixture: &Fixture) -> anyhow::Result<()> {
    let email = fixture.verified().await?;
    let nobody = format!("{}@example.com", fixture.unique("nobody"));
    let home = from(fixture, 2, 1)?;
    home.log_in(&email, PASSWORD).await?.expect(200)?;
    // What many addresses would do together.
    for email in [&email, &nobody] {
        sqlx::query(
            "INSERT INTO identity.login_attempts (email_key, address, network, outcome)
             SELECT $1, '203.0.113.' || number, '203.0.113.' || number || '/32', 'WRONG_CREDENTIALS'
             FROM generate_series(1, 60) AS number",
        )
        .bind(email)
        .execute(&fixture.database)
        .await?;
        let elsewhere = from(fixture, 2, 2)?.log_in(email, PASSWORD).await?;
        ensure!(elsewhere.status == 429, "{}: {}", elsewhere.status, elsewhere.body);
    }
    home.log_in(&email, PASSWORD).await?.expect(200)?;
    Ok(())
}

pub async fn old_tries_are_forgotten(fixture: &Fixture) -> anyhow::Result<()> {
    let email = format!("{}@example.com", fixture.unique("old"));
    sqlx::query(
        "INSERT INTO identity.login_attempts (email_key, address, network, outcome, attempted_at)
         SELECT $1, '203.0.113.1', '203.0.113.1/32', 'WRONG_CREDENTIALS', now() - make_interval(days => days)
         FROM generate_series(89, 92, 3) AS days, generate_series(1, 600)",
    )
    .bind(&email)
    .execute(&fixture.database)
    .await?;
    // The oldest mails have the lowest numbers. They are of a client that stays.
    let client_id: String = sqlx::query_scalar("SELECT client_id::text FROM identity.clients LIMIT 1")
        .fetch_one(&fixture.database)
        .await?;
    sqlx::query(
        "INSERT INTO identity.mails (mail_id, client_id, purpose, created_at, expires_at) OVERRIDING SYSTEM VALUE
         SELECT number - 600 - 600 * (days / 92), $1::uuid, 'REGISTERED_AGAIN',
                now() - make_interval(days => days + 1), date_trunc('second', now()) - make_interval(days => days)
         FROM generate_series(89, 92, 3) AS days, generate_series(1, 600) AS number",
    )
    .bind(&client_id)
    .execute(&fixture.database)
    .await?;
    eventually("rows of more than 90 days are deleted", LIMIT, async || {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM identity.login_attempts WHERE email_key = $1")
            .bind(&email)
            .fetch_one(&fixture.database)
            .await?;
        let mails: Option<String> = sqlx::query_scalar(
            "SELECT string_agg(DISTINCT extract(day FROM now() - expires_at)::text, ',') || ': ' || count(*)
             FROM identity.mails WHERE mail_id <= 0",
        )
        .fetch_one(&fixture.database)
        .await?;
        Ok(left == 600 && mails.as_deref() == Some("89: 600"))
    })
    .await
}
