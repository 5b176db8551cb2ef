//! Errors are problems with a code, and nobody acts for someone else.

use anyhow::{Context, ensure};
use brokerx_client::{Cents, place_order};
use brokerx_e2e::fixture::{Fixture, PASSWORD};
use reqwest::Method;
use serde_json::json;

pub async fn errors_are_problems_with_codes(fixture: &Fixture) -> anyhow::Result<()> {
    let api = &fixture.api;
    let email = format!("{}@example.com", fixture.unique("errors"));
    api.register(&email, PASSWORD, "A Client").await?.expect(201)?;
    // Nobody learns that an e-mail is known.
    api.register(&email.to_uppercase(), PASSWORD, "Again")
        .await?
        .expect(201)?;
    let cases = [
        (
            api.register("weak@example.com", "short", "Weak").await?,
            422,
            "WEAK_PASSWORD",
        ),
        (api.log_in(&email, PASSWORD).await?, 403, "NOT_VERIFIED"),
        (
            api.request(Method::GET, "/api/v1/portfolio", &[], None).await?,
            401,
            "UNAUTHENTICATED",
        ),
        (
            api.request(
                Method::POST,
                "/api/v1/clients/register",
                &[],
                Some(&json!({"email": "x@example.com", "password": PASSWORD, "name": "X", "color": "red"})),
            )
            .await?,
            422,
            "INVALID_REQUEST",
        ),
        (
            api.request(Method::GET, "/api/v1/nowhere", &[], None).await?,
            404,
            "NOT_FOUND",
        ),
    ];
    for (answer, status, code) in cases {
        ensure!(
            answer.status == status && answer.code() == code,
            "expected {status} {code}: {} {}",
            answer.status,
            answer.body
        );
        for field in ["type", "title", "status", "code", "correlation_id"] {
            ensure!(
                !answer.body[field].is_null(),
                "a problem without {field}: {}",
                answer.body
            );
        }
    }
    let used = fixture.client().await?;
    let wrong = api.log_in("nobody@example.com", PASSWORD).await?;
    ensure!(wrong.status == 401, "{}: {}", wrong.status, wrong.body);
    let bad_amount = used
        .request(
            Method::POST,
            "/api/v1/deposits",
            Some("k"),
            Some(&json!({"amount": "0.50", "currency": "USD"})),
        )
        .await?;
    ensure!(
        bad_amount.status == 422 && bad_amount.code() == "INVALID_AMOUNT",
        "{}",
        bad_amount.body
    );
    let no_key = used
        .request(
            Method::POST,
            "/api/v1/deposits",
            None,
            Some(&json!({"amount": "5.00", "currency": "USD"})),
        )
        .await?;
    ensure!(
        no_key.status == 400 && no_key.code() == "IDEMPOTENCY_KEY_MISSING",
        "{}",
        no_key.body
    );
    Ok(())
}

pub async fn nobody_acts_for_someone_else(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let owner = fixture.funded_client(Cents(1_000_00), &[]).await?;
    let stranger = fixture.funded_client(Cents(1_000_00), &[]).await?;
    let placed = owner
        .place(&place_order("mine", &symbol, "buy", 1, Some(Cents(99_00)), "GTC"))
        .await?
        .expect(201)?;
    let id = placed["order"]["id"].as_str().context("no id")?;
    let token = placed["consistency_token"].as_str().context("no token")?;
    // The order can be read from here on, so a 404 for anybody else does not mean that it is not there yet.
    let read = format!("/api/v1/orders/{id}?consistency_token={token}");
    owner.get(&read).await?.expect(200)?;
    for (method, path, body) in [
        (Method::GET, format!("/api/v1/orders/{id}"), None),
        (Method::DELETE, format!("/api/v1/orders/{id}"), None),
        (Method::POST, format!("/api/v1/orders/{id}/cancel"), Some(json!({}))),
        (Method::GET, "/api/v1/orders/by-client-id/mine".to_owned(), None),
    ] {
        let answer = stranger.request(method.clone(), &path, None, body.as_ref()).await?;
        ensure!(
            answer.status == 404,
            "{method} {path}: {} {}",
            answer.status,
            answer.body
        );
    }
    for (method, path) in [
        (Method::POST, "/admin/v1/instruments".to_owned()),
        (Method::POST, format!("/admin/v1/instruments/{symbol}/halt")),
        (
            Method::POST,
            format!("/admin/v1/accounts/{}/transfers", stranger.account_id),
        ),
        (Method::GET, "/admin/v1/reconciliation".to_owned()),
    ] {
        let body = (method == Method::POST).then(|| json!({}));
        let answer = stranger.request(method.clone(), &path, None, body.as_ref()).await?;
        ensure!(
            answer.status == 403,
            "{method} {path} by a client: {} {}",
            answer.status,
            answer.body
        );
        let answer = fixture.api.request(method.clone(), &path, &[], body.as_ref()).await?;
        ensure!(
            answer.status == 401,
            "{method} {path} by nobody: {} {}",
            answer.status,
            answer.body
        );
    }
    let still = owner.get(&read).await?.expect(200)?;
    ensure!(still["order"]["status"] == "working", "{still}");
    Ok(())
}
