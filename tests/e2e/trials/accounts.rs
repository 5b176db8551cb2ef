//! What becomes of an account, and what its client reads of it.

use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::{Cents, eventually, place_order};
use brokerx_e2e::fixture::Fixture;
use brokerx_topics::service::clock::now_us;
use reqwest::Method;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(10);

pub async fn a_client_reads_its_own_writes_without_a_token(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(9_000_00), &[]).await?;
    for number in 1..=20 {
        let id = format!("own-{number}");
        let order = place_order(&id, &symbol, "buy", 1, Some(Cents(100_00)), "GTC");
        let placed = client.place(&order).await?.expect(201)?;
        let order_id = placed["order"]["id"].as_str().context("no id")?;
        let portfolio = client.get("/api/v1/portfolio").await?.expect(200)?;
        // 100.00 and 5 basis points of it.
        let reserved = Cents(number * 100_05);
        ensure!(
            portfolio["cash"]["reserved"] == reserved.to_string(),
            "{number}: {portfolio}"
        );
        let path = format!("/api/v1/orders/{order_id}");
        let read = client.get(&path).await?.expect(200)?;
        ensure!(read["order"]["status"] == "working", "{read}");
        let listed = client.get("/api/v1/orders?limit=1").await?.expect(200)?;
        ensure!(listed["items"][0]["id"] == order_id, "{listed}");
    }
    // Lists are as long as the client wants them.
    for (limit, items) in [("", 20), ("?limit=5", 5), ("?limit=200", 20)] {
        let listed = client.get(&format!("/api/v1/orders{limit}")).await?.expect(200)?;
        let count = listed["items"].as_array().map_or(0, Vec::len);
        ensure!(count == items, "{limit}: {count} items");
    }
    for limit in ["0", "201", "many"] {
        client
            .get(&format!("/api/v1/orders?limit={limit}"))
            .await?
            .expect(422)?;
    }
    // The list of instruments too: the one of this test is there, with whatever was listed before.
    let one = client.get("/api/v1/instruments?limit=1").await?.expect(200)?;
    let first = one["items"][0]["symbol"].as_str().context("no instrument")?;
    ensure!(one["items"].as_array().map_or(0, Vec::len) == 1, "{one}");
    let next = client
        .get(&format!("/api/v1/instruments?limit=200&cursor={first}"))
        .await?
        .expect(200)?;
    let again = |item: &Value| item["symbol"].as_str().is_none_or(|symbol| symbol <= first);
    ensure!(
        !next["items"].as_array().context("no items")?.iter().any(again),
        "{next}"
    );
    client.get("/api/v1/instruments?limit=201").await?.expect(422)?;
    client
        .request(Method::POST, "/api/v1/orders/cancel-all", None, None)
        .await?
        .expect(200)?;
    Ok(())
}

pub async fn an_order_without_an_outcome_is_not_decided_yet(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(1_000_00), &[]).await?;
    let order = place_order("late-1", &symbol, "buy", 1, Some(Cents(100_00)), "GTC");
    // The projection belongs to settlement's process: what was told so far has to be in it.
    client.get("/api/v1/portfolio").await?.expect(200)?;
    fixture.system().process("settlement").pause();
    let asked = async {
        let late = client.place(&order).await?;
        ensure!(late.status == 202, "answered {}: {}", late.status, late.body);
        let location = late.body["location"].as_str().context("no location")?.to_owned();
        for path in [location.as_str(), "/api/v1/orders/by-client-id/late-1"] {
            let answer = client.get(path).await?.expect(202)?;
            ensure!(answer["status"] == "pending", "{path}: {answer}");
        }
        // An instance that knows nothing of it goes by the time in the place.
        let fresh = |asked_us: i64| format!("/api/v1/orders/by-client-id/late-2?asked_us={asked_us}");
        client.get(&fresh(now_us())).await?.expect(202)?;
        for never in [i64::MIN, -1, i64::MAX] {
            client.get(&fresh(never)).await?.expect(422)?;
        }
        client.get("/api/v1/orders/by-client-id/late-2").await?.expect(404)?;
        client
            .get("/api/v1/orders/by-client-id/late-2?asked_us=1")
            .await?
            .expect(404)?;
        anyhow::Ok(location)
    };
    let location = asked.await;
    fixture.system().process("settlement").resume();
    let location = location?;
    eventually("the order is decided", Duration::from_secs(60), async || {
        let answer = client.get(&location).await?;
        Ok(answer.status == 200)
    })
    .await
}

/// The best bid of a symbol.
async fn best_bid(fixture: &Fixture, symbol: &str) -> anyhow::Result<Value> {
    let path = format!("/api/v1/market/{symbol}/quote");
    let answer = fixture.api.request(Method::GET, &path, &[], None).await?.expect(200)?;
    Ok(answer["bid"].clone())
}

pub async fn a_suspended_clients_orders_leave_the_book(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(1_000_00), &[]).await?;
    let mut stream = client.stream(&["orders", "balances"], None).await?;
    let order = place_order("rests", &symbol, "buy", 5, Some(Cents(100_00)), "GTC");
    client.place(&order).await?.expect(201)?;
    eventually("the bid is shown", LIMIT, async || {
        Ok(best_bid(fixture, &symbol).await? == "100.00")
    })
    .await?;
    let me = client.get("/api/v1/me").await?.expect(200)?;
    let client_id = me["client_id"].as_str().context("no client id")?.to_owned();
    let act = async |action: &str| {
        let path = format!("/admin/v1/clients/{client_id}/{action}");
        fixture
            .api
            .operate(&fixture.operator_key, Method::POST, &path, None)
            .await
    };
    act("suspend").await?.expect(200)?;
    eventually("the bid is gone", LIMIT, async || {
        Ok(best_bid(fixture, &symbol).await?.is_null())
    })
    .await?;
    // The stream ends with the suspension; what happened is there for the client's return.
    drop(stream.next_where(LIMIT, |_| false).await);
    act("reinstate").await?.expect(200)?;
    eventually("the client comes back", LIMIT, async || {
        Ok(client.get("/api/v1/orders/by-client-id/rests").await?.status == 200)
    })
    .await?;
    let read = client.get("/api/v1/orders/by-client-id/rests").await?.expect(200)?;
    ensure!(
        read["order"]["status"] == "cancelled" && read["order"]["reason"] == "ACCOUNT_NOT_ACTIVE",
        "{read}"
    );
    Ok(())
}

pub async fn an_operator_corrects_and_thaws(fixture: &Fixture) -> anyhow::Result<()> {
    let client = fixture.funded_client(Cents(100_00), &[]).await?;
    let symbol = fixture.instrument().await?;
    let operate = async |path: &str, body: Value| {
        let path = format!("/admin/v1/accounts/{}/{path}", client.account_id);
        fixture
            .api
            .operate(&fixture.operator_key, Method::POST, &path, Some(&body))
            .await
    };
    let mut stream = client.stream(&["balances"], None).await?;
    let done = operate("adjustments", json!({"cash": "-25.50", "note": "ticket 1"})).await?;
    ensure!(done.expect(200)?["cash"] == "-25.50", "it says what it did");
    let event = stream
        .next_where(LIMIT, |message| message["event"] == "BALANCE_ADJUSTED")
        .await?;
    ensure!(
        event["note"] == "ticket 1" && event["cash"]["balance"] == "74.50",
        "{event}"
    );
    let refused = operate("adjustments", json!({"cash": "-74.51", "note": "ticket 2"})).await?;
    ensure!(
        refused.status == 422 && refused.code() == "INSUFFICIENT_FUNDS",
        "{}",
        refused.body
    );
    operate(
        "adjustments",
        json!({"symbol": symbol, "quantity": 3, "cost": "30.00", "note": "ticket 3"}),
    )
    .await?
    .expect(200)?;
    let portfolio = client.get("/api/v1/portfolio").await?.expect(200)?;
    ensure!(
        portfolio["cash"]["balance"] == "74.50" && portfolio["positions"][0]["quantity"] == 3,
        "{portfolio}"
    );
    for body in [
        json!({"note": "nothing"}),
        json!({"cash": "1.00"}),
        json!({"cash": "1.00", "note": ""}),
    ] {
        operate("adjustments", body).await?.expect(422)?;
    }
    // An account that is not frozen stays as it is.
    let thawed = operate("thaw", json!({"note": "ticket 4"})).await?.expect(200)?;
    ensure!(thawed["frozen"] == false, "{thawed}");
    // The books still add up.
    let path = "/admin/v1/reconciliation";
    let report = fixture
        .api
        .operate(&fixture.operator_key, Method::GET, path, None)
        .await?;
    let report = report.expect(200)?;
    ensure!(report["consistent_but_for_flight"] == true, "{report}");
    Ok(())
}
