//! Orders over HTTP.

use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::{Cents, Session, eventually, place_order};
use brokerx_e2e::fixture::Fixture;
use reqwest::Method;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(10);

fn order_id(body: &Value) -> anyhow::Result<String> {
    Ok(body["order"]["id"]
        .as_str()
        .with_context(|| format!("an order without an id: {body}"))?
        .to_owned())
}

async fn pair(fixture: &Fixture) -> anyhow::Result<(String, Session, Session)> {
    let symbol = fixture.instrument().await?;
    let buyer = fixture.funded_client(Cents(10_000_00), &[]).await?;
    let seller = fixture.funded_client(Cents(100_00), &[(symbol.as_str(), 100)]).await?;
    Ok((symbol, buyer, seller))
}

pub async fn an_order_rests_crosses_and_is_cancelled(fixture: &Fixture) -> anyhow::Result<()> {
    let (symbol, buyer, seller) = pair(fixture).await?;
    let ask = seller
        .place(&place_order("a", &symbol, "sell", 30, Some(Cents(100_00)), "GTC"))
        .await?
        .expect(201)?;
    ensure!(
        ask["order"]["status"] == "working" && ask["order"]["version"] == 1,
        "{ask}"
    );
    // The limit is better than the resting order's price, at which it trades.
    let bid = buyer
        .place(&place_order("b", &symbol, "buy", 10, Some(Cents(101_00)), "GTC"))
        .await?
        .expect(201)?;
    ensure!(
        bid["order"]["status"] == "filled" && bid["order"]["average_price"] == "100.00",
        "{bid}"
    );
    let execution = &bid["order"]["executions"][0];
    ensure!(
        execution["liquidity"] == "taker" && execution["fee"] == "0.50" && execution["quantity"] == 10,
        "{bid}"
    );
    // An order for more than there is: the rest stays in the book until it is cancelled, which releases its
    // reservation.
    let bid = buyer
        .place(&place_order("c", &symbol, "buy", 25, Some(Cents(100_00)), "DAY"))
        .await?
        .expect(201)?;
    ensure!(
        bid["order"]["status"] == "partially_filled" && bid["order"]["filled_quantity"] == 20,
        "{bid}"
    );
    let cancelled = buyer.cancel(&order_id(&bid)?).await?.expect(200)?;
    ensure!(
        cancelled["order"]["status"] == "cancelled" && cancelled["order"]["filled_quantity"] == 20,
        "{cancelled}"
    );
    let again = buyer.cancel(&order_id(&bid)?).await?;
    ensure!(
        again.status == 409 && again.code() == "ORDER_CLOSED",
        "{}: {}",
        again.status,
        again.body
    );
    // An IOC order with nobody on the other side.
    let empty = buyer
        .place(&place_order("d", &symbol, "buy", 1, Some(Cents(99_00)), "IOC"))
        .await?
        .expect(201)?;
    ensure!(
        empty["order"]["status"] == "cancelled" && empty["order"]["reason"] == "NO_LIQUIDITY",
        "{empty}"
    );
    let token = empty["consistency_token"].as_str().context("no token")?;
    let portfolio = buyer.portfolio(Some(token)).await?;
    // 30 x 100.00, taker fees 0.50 and 1.00.
    ensure!(
        portfolio["cash"]["balance"] == "6998.50" && portfolio["cash"]["reserved"] == "0.00",
        "{portfolio}"
    );
    ensure!(
        portfolio["positions"][0]["quantity"] == 30 && portfolio["positions"][0]["average_price"] == "100.00",
        "{portfolio}"
    );
    Ok(())
}

pub async fn the_same_id_gives_the_same_outcome(fixture: &Fixture) -> anyhow::Result<()> {
    let (symbol, buyer, _) = pair(fixture).await?;
    let order = place_order("same", &symbol, "buy", 5, Some(Cents(99_00)), "GTC");
    // Both at once, as an impatient client would. While the book has not answered yet, the outcome goes to the
    // later of the two requests; the other is told where to look.
    let (first, second) = tokio::try_join!(buyer.place(&order), buyer.place(&order))?;
    let answered = if first.status == 202 { &second } else { &first };
    ensure!(
        [200, 201].contains(&answered.status),
        "{} and {}",
        first.status,
        second.status
    );
    for late in [&first, &second].into_iter().filter(|answer| answer.status == 202) {
        let location = late.location.as_deref().unwrap_or_default();
        ensure!(
            location.starts_with("/api/v1/orders/by-client-id/same?asked_us="),
            "{location}"
        );
        let found = buyer.get(location).await?;
        ensure!([200, 202].contains(&found.status), "{}: {}", found.status, found.body);
    }
    let first = answered;
    let third = buyer.place(&order).await?;
    ensure!(
        third.status == 200 && third.replayed && third.body["order"]["id"] == first.body["order"]["id"],
        "{}",
        third.body
    );
    let other = buyer
        .place(&place_order("same", &symbol, "buy", 6, Some(Cents(99_00)), "GTC"))
        .await?;
    ensure!(
        other.status == 409 && other.code() == "IDEMPOTENCY_MISMATCH",
        "{}: {}",
        other.status,
        other.body
    );
    Ok(())
}

pub async fn orders_are_refused_for_their_reasons(fixture: &Fixture) -> anyhow::Result<()> {
    let (symbol, buyer, _) = pair(fixture).await?;
    let limit = |id: &str, quantity: i64, price: Cents| place_order(id, &symbol, "buy", quantity, Some(price), "GTC");
    let mut off_tick = limit("r3", 1, Cents(100_00));
    off_tick["order"]["price"] = json!("100.001");
    let cases = [
        (limit("r1", 0, Cents(100_00)), 422, "INVALID_QUANTITY"),
        (limit("r2", 1, Cents(99)), 422, "INVALID_PRICE"),
        (off_tick, 422, "INVALID_PRICE"),
        (
            place_order("r4", "NOSUCH", "buy", 1, Some(Cents(100_00)), "GTC"),
            422,
            "UNKNOWN_SYMBOL",
        ),
        (limit("r5", 10_001, Cents(100_00)), 422, "ORDER_LIMIT"),
        (limit("r6", 1_000, Cents(100_00)), 422, "INSUFFICIENT_FUNDS"),
        (
            place_order("r7", &symbol, "sell", 1, Some(Cents(100_00)), "GTC"),
            422,
            "INSUFFICIENT_SHARES",
        ),
        (limit("r8", 1, Cents(106_00)), 422, "PRICE_BAND"),
        (limit("r9", 1, Cents(94_00)), 422, "PRICE_BAND"),
    ];
    for (order, status, code) in cases {
        let answer = buyer.place(&order).await?;
        ensure!(
            answer.status == status && answer.code() == code,
            "{order}: {} {}",
            answer.status,
            answer.body
        );
    }
    ensure!(
        buyer.cash(None).await? == Cents(10_000_00),
        "a refused order cost something"
    );
    // Refused by settlement, and by the book: whoever cancels it is told what it was.
    for (client_order_id, reason) in [("r6", "INSUFFICIENT_FUNDS"), ("r8", "PRICE_BAND")] {
        let known = buyer
            .get(&format!("/api/v1/orders/by-client-id/{client_order_id}"))
            .await?;
        let id = order_id(&known.expect(200)?)?;
        for (action, body) in [
            ("cancel", json!({})),
            ("replace", json!({"order": {"quantity": 2, "client_version": 1}})),
        ] {
            let path = format!("/api/v1/orders/{id}/{action}");
            let closed = buyer.request(Method::POST, &path, None, Some(&body)).await?;
            let told = &closed.body["order"];
            ensure!(
                closed.code() == "ORDER_CLOSED" && told["status"] == "rejected" && told["reason"] == reason,
                "{action} of an order that was rejected: {} {}",
                closed.status,
                closed.body
            );
        }
    }
    Ok(())
}

pub async fn reads_are_not_older_than_the_token(fixture: &Fixture) -> anyhow::Result<()> {
    let (symbol, buyer, _) = pair(fixture).await?;
    for round in 0..10 {
        let client_order_id = format!("t{round}");
        let placed = buyer
            .place(&place_order(
                &client_order_id,
                &symbol,
                "buy",
                1,
                Some(Cents(98_00)),
                "GTC",
            ))
            .await?;
        let body = placed.expect(201)?;
        let token = body["consistency_token"].as_str().context("no token")?;
        let id = order_id(&body)?;
        let read = buyer
            .get(&format!("/api/v1/orders/{id}?consistency_token={token}"))
            .await?
            .expect(200)?;
        ensure!(read["order"]["status"] == "working", "{read}");
        let list = buyer
            .get(&format!("/api/v1/orders?consistency_token={token}"))
            .await?
            .expect(200)?;
        ensure!(list["items"][0]["id"] == id.as_str(), "the newest is not first: {list}");
        let by_client_id = buyer
            .get(&format!("/api/v1/orders/by-client-id/{client_order_id}"))
            .await?
            .expect(200)?;
        ensure!(by_client_id["order"]["id"] == id.as_str(), "{by_client_id}");
    }
    Ok(())
}

pub async fn operators_commands_are_idempotent(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.unique("OPS");
    let listing =
        json!({"symbol": symbol, "name": "Ops", "tick_size": "0.01", "reference_price": "50.00", "band_percent": "5"});
    let list = async |key: &str, body: &Value| {
        let headers = [("X-API-Key", fixture.operator_key.as_str()), ("Idempotency-Key", key)];
        fixture
            .api
            .request(Method::POST, "/admin/v1/instruments", &headers, Some(body))
            .await
    };
    let key = fixture.unique("key-");
    list(&key, &listing).await?.expect(201)?;
    let again = list(&key, &listing).await?;
    ensure!(
        again.status == 200 && again.replayed,
        "{}: {}",
        again.status,
        again.body
    );
    let mut other = listing.clone();
    other["name"] = json!("Other");
    let mismatch = list(&key, &other).await?;
    ensure!(
        mismatch.status == 409 && mismatch.code() == "IDEMPOTENCY_MISMATCH",
        "{}: {}",
        mismatch.status,
        mismatch.body
    );

    let client = fixture.funded_client(Cents(10_00), &[]).await?;
    let path = format!("/admin/v1/accounts/{}/transfers", client.account_id);
    let transfer = json!({"symbol": symbol, "quantity": 7, "direction": "in", "price": "50.00"});
    let key = fixture.unique("key-");
    for expected in [201, 200] {
        let headers = [
            ("X-API-Key", fixture.operator_key.as_str()),
            ("Idempotency-Key", key.as_str()),
        ];
        let answer = fixture
            .api
            .request(Method::POST, &path, &headers, Some(&transfer))
            .await?;
        ensure!(answer.status == expected, "{}: {}", answer.status, answer.body);
    }
    eventually("the shares arrive once", LIMIT, async || {
        Ok(client.portfolio(None).await?["positions"][0]["quantity"] == 7)
    })
    .await
}
