//! What the book does with each kind of order, seen over HTTP.

use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::{Answer, Cents, Session, eventually, place_order};
use brokerx_e2e::fixture::Fixture;
use reqwest::Method;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(10);

/// Three clients with money and shares, and an instrument of their own at 100.00.
struct Floor<'a> {
    fixture: &'a Fixture,
    symbol: String,
    alice: Session,
    bob: Session,
    carol: Session,
}

impl<'a> Floor<'a> {
    async fn open(fixture: &'a Fixture) -> anyhow::Result<Self> {
        let symbol = fixture.instrument().await?;
        let shares = [(symbol.as_str(), 1_000)];
        let (alice, bob, carol) = tokio::try_join!(
            fixture.funded_client(Cents(20_000_00), &shares),
            fixture.funded_client(Cents(20_000_00), &shares),
            fixture.funded_client(Cents(20_000_00), &shares),
        )?;
        Ok(Self {
            fixture,
            symbol,
            alice,
            bob,
            carol,
        })
    }

    /// A GTC limit order whose id says what it is.
    fn limit(&self, direction: &str, quantity: i64, price: i64) -> Value {
        let id = self.fixture.unique("o");
        place_order(&id, &self.symbol, direction, quantity, Some(Cents(price)), "GTC")
    }

    /// A limit order with some fields changed; a null removes a field.
    fn order(&self, direction: &str, quantity: i64, price: i64, changes: &Value) -> Value {
        let mut order = self.limit(direction, quantity, price);
        for (name, value) in changes.as_object().into_iter().flatten() {
            match value {
                Value::Null => drop(order["order"].as_object_mut().and_then(|fields| fields.remove(name))),
                value => order["order"][name] = value.clone(),
            }
        }
        order
    }

    async fn operate(&self, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let answer = self
            .fixture
            .api
            .operate(&self.fixture.operator_key, Method::POST, path, body)
            .await?;
        answer.expect(200)
    }

    async fn instrument(&self, action: &str) -> anyhow::Result<Value> {
        self.operate(&format!("/admin/v1/instruments/{}/{action}", self.symbol), None)
            .await
    }

    async fn sessions(&self, action: &str) -> anyhow::Result<Value> {
        let body = json!({ "symbols": [self.symbol] });
        self.operate(&format!("/admin/v1/sessions/{action}"), Some(&body)).await
    }

    /// The shares shown at a price, as the book's snapshot has them.
    async fn shown(&self, side: &str, price: &str) -> anyhow::Result<i64> {
        let path = format!("/api/v1/market/{}/book", self.symbol);
        let book = self
            .fixture
            .api
            .request(Method::GET, &path, &[], None)
            .await?
            .expect(200)?;
        let levels = book[side].as_array().with_context(|| format!("no {side}: {book}"))?;
        let level = levels.iter().find(|level| level["price"] == price);
        Ok(level.and_then(|level| level["quantity"].as_i64()).unwrap_or(0))
    }

    async fn shows(&self, side: &str, price: &str, quantity: i64) -> anyhow::Result<()> {
        eventually(&format!("{quantity} shares at {price}"), LIMIT, async || {
            Ok(self.shown(side, price).await? == quantity)
        })
        .await
    }
}

fn id(body: &Value) -> anyhow::Result<&str> {
    body["order"]["id"]
        .as_str()
        .with_context(|| format!("no order: {body}"))
}

async fn placed(client: &Session, order: &Value) -> anyhow::Result<Value> {
    client.place(order).await?.expect(201)
}

async fn refused(client: &Session, order: &Value, code: &str) -> anyhow::Result<()> {
    is_refusal(&client.place(order).await?, 422, code)
}

fn is_refusal(answer: &Answer, status: u16, code: &str) -> anyhow::Result<()> {
    ensure!(
        answer.status == status && answer.code() == code,
        "expected {status} {code}, got {} {}",
        answer.status,
        answer.body
    );
    Ok(())
}

/// Waits until an order has a status, and returns it.
async fn becomes(client: &Session, order_id: &str, status: &str) -> anyhow::Result<Value> {
    let mut seen = Value::Null;
    let outcome = eventually(&format!("order {order_id} is {status}"), LIMIT, async || {
        seen = client.get(&format!("/api/v1/orders/{order_id}")).await?.body;
        Ok(seen["order"]["status"] == status)
    })
    .await;
    outcome.with_context(|| format!("it is {seen}"))?;
    Ok(seen["order"].clone())
}

async fn replace(client: &Session, order_id: &str, terms: &Value) -> anyhow::Result<Answer> {
    let path = format!("/api/v1/orders/{order_id}/replace");
    client
        .request(Method::POST, &path, None, Some(&json!({ "order": terms })))
        .await
}

pub async fn stops_wait_for_their_price(fixture: &Fixture) -> anyhow::Result<()> {
    let floor = Floor::open(fixture).await?;
    let (alice, bob, carol) = (&floor.alice, &floor.bob, &floor.carol);
    let mut stream = carol.stream(&["orders"], None).await?;
    let stop = json!({"order_type": "stop", "price": null, "stop_price": "102.00"});
    let stop = placed(carol, &floor.order("buy", 10, 100_00, &stop)).await?;
    ensure!(stop["order"]["status"] == "working", "{stop}");
    // The reservation is for the stop price plus 5 %, with the highest fee: 10 x 107.10 + 0.54.
    let token = stop["consistency_token"].as_str().context("no token")?;
    let portfolio = carol.portfolio(Some(token)).await?;
    ensure!(portfolio["cash"]["reserved"] == "1071.54", "{portfolio}");
    let stop_limit = json!({"order_type": "stop_limit", "stop_price": "102.00"});
    let stop_limit = placed(carol, &floor.order("buy", 5, 101_00, &stop_limit)).await?;

    placed(alice, &floor.limit("sell", 1, 102_00)).await?;
    placed(alice, &floor.limit("sell", 20, 103_00)).await?;
    floor.shows("asks", "103.00", 20).await?;
    floor.shows("asks", "102.00", 1).await?;
    // A trade below the stop price triggers nothing; one at it triggers both, in the order of their placement.
    placed(alice, &floor.limit("sell", 1, 101_00)).await?;
    placed(bob, &floor.limit("buy", 1, 101_00)).await?;
    let waiting = carol
        .get(&format!("/api/v1/orders/{}", id(&stop)?))
        .await?
        .expect(200)?;
    ensure!(waiting["order"]["filled_quantity"] == 0, "{waiting}");
    placed(bob, &floor.limit("buy", 1, 102_00)).await?;
    let filled = becomes(carol, id(&stop)?, "filled").await?;
    ensure!(
        filled["average_price"] == "103.00" && filled["executions"][0]["liquidity"] == "taker",
        "{filled}"
    );
    stream
        .next_where(LIMIT, |message| message["event"] == "ORDER_TRIGGERED")
        .await?;
    floor.shows("bids", "101.00", 5).await?;
    let resting = becomes(carol, id(&stop_limit)?, "working").await?;
    ensure!(resting["filled_quantity"] == 0, "{resting}");
    // A stop that waits can be changed and cancelled like any other.
    let late = json!({"order_type": "stop", "price": null, "stop_price": "95.00"});
    let late = placed(carol, &floor.order("sell", 10, 100_00, &late)).await?;
    let smaller = replace(carol, id(&late)?, &json!({"quantity": 4, "client_version": 1})).await?;
    let smaller = smaller.expect(200)?;
    ensure!(
        smaller["order"]["quantity"] == 4 && smaller["order"]["version"] == 2,
        "{smaller}"
    );
    let cancelled = carol.cancel(id(&late)?).await?.expect(200)?;
    ensure!(cancelled["order"]["status"] == "cancelled", "{cancelled}");
    Ok(())
}

pub async fn an_iceberg_shows_a_part(fixture: &Fixture) -> anyhow::Result<()> {
    let floor = Floor::open(fixture).await?;
    let iceberg = floor.order("sell", 30, 100_00, &json!({"display_quantity": 10}));
    let iceberg = placed(&floor.alice, &iceberg).await?;
    ensure!(iceberg["order"]["display_quantity"] == 10, "{iceberg}");
    placed(&floor.carol, &floor.limit("sell", 5, 100_00)).await?;
    floor.shows("asks", "100.00", 15).await?;
    // The 10 that were shown, then the order queued behind them, then 2 of the next part that was shown.
    let swept = placed(&floor.bob, &floor.limit("buy", 17, 100_00)).await?;
    ensure!(swept["order"]["status"] == "filled", "{swept}");
    let quantities: Vec<i64> = swept["order"]["executions"]
        .as_array()
        .context("no executions")?
        .iter()
        .filter_map(|execution| execution["quantity"].as_i64())
        .collect();
    ensure!(quantities == [10, 5, 2], "{quantities:?}");
    floor.shows("asks", "100.00", 8).await?;
    // Hidden shares count for a fill-or-kill order.
    let all = floor.order("buy", 18, 100_00, &json!({"time_in_force": "FOK"}));
    let all = placed(&floor.bob, &all).await?;
    ensure!(all["order"]["status"] == "filled", "{all}");
    let done = becomes(&floor.alice, id(&iceberg)?, "filled").await?;
    ensure!(done["filled_quantity"] == 30, "{done}");
    Ok(())
}

pub async fn orders_trade_by_their_post_only_fok_and_self_trade_terms(fixture: &Fixture) -> anyhow::Result<()> {
    let floor = Floor::open(fixture).await?;
    let (alice, bob) = (&floor.alice, &floor.bob);
    let post_only = json!({"post_only": true});
    placed(alice, &floor.order("sell", 10, 101_00, &post_only)).await?;
    placed(alice, &floor.limit("sell", 10, 102_00)).await?;
    refused(bob, &floor.order("buy", 1, 101_00, &post_only), "POST_ONLY_WOULD_CROSS").await?;
    let all_or_none = json!({"time_in_force": "FOK"});
    refused(bob, &floor.order("buy", 11, 101_00, &all_or_none), "FOK_UNFILLABLE").await?;
    let both_levels = placed(bob, &floor.order("buy", 15, 102_00, &all_or_none)).await?;
    // 10 x 101.00 and 5 x 102.00.
    ensure!(
        both_levels["order"]["status"] == "filled" && both_levels["order"]["average_price"] == "101.33",
        "{both_levels}"
    );
    // A self-trade in the middle of a sweep: what traded before it stands.
    placed(bob, &floor.limit("sell", 3, 101_50)).await?;
    placed(alice, &floor.limit("sell", 3, 101_40)).await?;
    let own = placed(bob, &floor.limit("buy", 9, 102_00)).await?;
    ensure!(
        own["order"]["status"] == "cancelled"
            && own["order"]["reason"] == "SELF_TRADE"
            && own["order"]["filled_quantity"] == 3,
        "{own}"
    );
    // With cancel_resting the resting order is cancelled and the incoming one goes on.
    let resting = json!({"self_trade_prevention": "cancel_resting"});
    let through = placed(bob, &floor.order("buy", 5, 102_00, &resting)).await?;
    ensure!(
        through["order"]["status"] == "filled" && through["order"]["average_price"] == "102.00",
        "{through}"
    );
    Ok(())
}

pub async fn a_replace_keeps_its_place_only_with_a_smaller_quantity(fixture: &Fixture) -> anyhow::Result<()> {
    let floor = Floor::open(fixture).await?;
    let (alice, bob, carol) = (&floor.alice, &floor.bob, &floor.carol);
    let first = placed(alice, &floor.limit("buy", 10, 99_00)).await?;
    let second = placed(bob, &floor.limit("buy", 10, 99_00)).await?;
    // With a smaller quantity the order keeps its place.
    let smaller = replace(alice, id(&first)?, &json!({"quantity": 6, "client_version": 1})).await?;
    ensure!(
        smaller.clone().expect(200)?["order"]["version"] == 2,
        "{}",
        smaller.body
    );
    let stale = replace(alice, id(&first)?, &json!({"quantity": 5, "client_version": 1})).await?;
    is_refusal(&stale, 409, "VERSION_CONFLICT")?;
    ensure!(stale.body["current_version"] == 2, "{}", stale.body);
    placed(carol, &floor.limit("sell", 4, 99_00)).await?;
    becomes(alice, id(&first)?, "partially_filled").await?;
    // With a larger one it goes to the end, and its reservation grows: 20 x 99.00 less what traded.
    let larger = replace(alice, id(&first)?, &json!({"quantity": 20, "client_version": 2})).await?;
    larger.expect(200)?;
    placed(carol, &floor.limit("sell", 10, 99_00)).await?;
    becomes(bob, id(&second)?, "filled").await?;
    // Less than has traded is refused and changes nothing; just that ends the order as filled, and an order
    // that has ended cannot be changed.
    let below = replace(alice, id(&first)?, &json!({"quantity": 3, "client_version": 3})).await?;
    is_refusal(&below, 422, "QUANTITY_BELOW_FILLED")?;
    let ended = replace(alice, id(&first)?, &json!({"quantity": 4, "client_version": 3})).await?;
    let ended = ended.expect(200)?;
    ensure!(
        ended["order"]["filled_quantity"] == 4
            && ended["order"]["quantity"] == 4
            && ended["order"]["status"] == "filled",
        "{ended}"
    );
    let token = ended["consistency_token"].as_str().context("no token")?;
    let portfolio = alice.portfolio(Some(token)).await?;
    ensure!(portfolio["cash"]["reserved"] == "0.00", "{portfolio}");
    let over = replace(bob, id(&second)?, &json!({"quantity": 30, "client_version": 1})).await?;
    is_refusal(&over, 409, "ORDER_CLOSED")?;
    // A price that crosses trades at once, at the resting order's price.
    let bid = placed(alice, &floor.limit("buy", 5, 98_00)).await?;
    placed(carol, &floor.limit("sell", 5, 99_50)).await?;
    let crossing = replace(alice, id(&bid)?, &json!({"price": "100.00", "client_version": 1})).await?;
    let crossing = crossing.expect(200)?;
    ensure!(
        crossing["order"]["status"] == "filled" && crossing["order"]["average_price"] == "99.50",
        "{crossing}"
    );
    Ok(())
}

pub async fn halts_and_sessions_stop_trading(fixture: &Fixture) -> anyhow::Result<()> {
    let floor = Floor::open(fixture).await?;
    let (alice, bob) = (&floor.alice, &floor.bob);
    let stays = placed(alice, &floor.limit("sell", 5, 101_00)).await?;
    let of_today = floor.order("sell", 5, 102_00, &json!({"time_in_force": "DAY"}));
    let of_today = placed(alice, &of_today).await?;
    ensure!(floor.instrument("halt").await?["status"] == "halted");
    refused(bob, &floor.limit("buy", 1, 101_00), "HALTED").await?;
    let other = placed(bob, &floor.limit("buy", 1, 100_00)).await;
    ensure!(other.is_err(), "an order went into a halted book");
    floor.instrument("resume").await?;
    let resting = placed(bob, &floor.limit("buy", 1, 100_00)).await?;

    floor.sessions("close").await?;
    becomes(alice, id(&of_today)?, "expired").await?;
    refused(bob, &floor.limit("buy", 1, 101_00), "MARKET_CLOSED").await?;
    // Cancels always work.
    let cancelled = bob.cancel(id(&resting)?).await?.expect(200)?;
    ensure!(cancelled["order"]["status"] == "cancelled", "{cancelled}");
    floor.sessions("open").await?;
    let trade = placed(bob, &floor.limit("buy", 5, 101_00)).await?;
    ensure!(trade["order"]["status"] == "filled", "{trade}");
    becomes(alice, id(&stays)?, "filled").await?;
    Ok(())
}

/// Changes the configuration of the running machines; everything else in it stays as it is.
pub fn configure(fixture: &Fixture, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
    let run = |arguments: &[&str]| {
        let output = fixture.system().output("brokerx-topics", arguments)?;
        ensure!(
            output.status.success(),
            "brokerx-topics {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    };
    let mut config: Value = serde_json::from_slice(&run(&["config"])?)?;
    change(&mut config);
    let file = tempfile::NamedTempFile::with_suffix(".json")?;
    serde_json::to_writer(&file, &config)?;
    let path = file.path().to_str().context("a path that is no text")?;
    run(&["config", path]).map(drop)
}

pub async fn a_halt_ends_with_an_auction_when_orders_are_collected(fixture: &Fixture) -> anyhow::Result<()> {
    let floor = Floor::open(fixture).await?;
    let (alice, bob, carol) = (&floor.alice, &floor.bob, &floor.carol);
    configure(fixture, |config| config["collect_while_halted"] = json!(true))?;
    let outcome = async {
        floor.instrument("halt").await?;
        let bid = placed(bob, &floor.limit("buy", 10, 102_00)).await?;
        let low = placed(carol, &floor.limit("buy", 10, 100_00)).await?;
        let ask = placed(alice, &floor.limit("sell", 10, 99_00)).await?;
        ensure!(ask["order"]["status"] == "working", "a halted book traded: {ask}");
        // A crossed book has no quote.
        floor.shows("asks", "99.00", 10).await?;
        let path = format!("/api/v1/market/{}/quote", floor.symbol);
        let quote = fixture.api.request(Method::GET, &path, &[], None).await?.expect(200)?;
        ensure!(quote["bid"].is_null() && quote["ask"].is_null(), "{quote}");
        floor.instrument("resume").await?;
        // At any price from 99.00 to 102.00, 10 shares trade. Above 100.00 no shares are left over, and of these
        // prices 100.01 is the nearest to the reference.
        let bought = becomes(bob, id(&bid)?, "filled").await?;
        let sold = becomes(alice, id(&ask)?, "filled").await?;
        ensure!(
            bought["average_price"] == sold["average_price"] && bought["average_price"] == "100.01",
            "{bought} {sold}"
        );
        becomes(carol, id(&low)?, "working").await.map(drop)
    }
    .await;
    configure(fixture, |config| config["collect_while_halted"] = json!(false))?;
    outcome
}

pub async fn everything_is_cancelled_at_once(fixture: &Fixture) -> anyhow::Result<()> {
    let floor = Floor::open(fixture).await?;
    let other = Floor::open(fixture).await?;
    let alice = &floor.alice;
    fixture.credit(alice, &other.symbol, 10).await?;
    let mut here = Vec::new();
    for step in 0..5 {
        here.push(placed(alice, &floor.limit("sell", 1, 101_00 + step)).await?);
    }
    let elsewhere = placed(alice, &other.limit("sell", 1, 101_00)).await?;
    let path = "/api/v1/orders/cancel-all";
    let only_here = json!({ "symbol": floor.symbol });
    let key = fixture.unique("all-");
    let answer = alice.request(Method::POST, path, Some(&key), Some(&only_here)).await?;
    ensure!(answer.clone().expect(200)?["status"] == "cancelling", "{}", answer.body);
    let again = alice.request(Method::POST, path, Some(&key), Some(&only_here)).await?;
    ensure!(again.status == 200 && again.replayed, "{}", again.body);
    for order in &here {
        let order = becomes(alice, id(order)?, "cancelled").await?;
        ensure!(order["reason"] == "CANCELLED_ALL", "{order}");
    }
    let left = alice
        .get(&format!("/api/v1/orders/{}", id(&elsewhere)?))
        .await?
        .expect(200)?;
    ensure!(left["order"]["status"] == "working", "{left}");
    alice.request(Method::POST, path, None, None).await?.expect(200)?;
    becomes(alice, id(&elsewhere)?, "cancelled").await?;
    Ok(())
}

pub async fn a_repeat_is_answered_when_the_instrument_is_gone(fixture: &Fixture) -> anyhow::Result<()> {
    let floor = Floor::open(fixture).await?;
    let order = floor.limit("buy", 1, 99_00);
    let first = placed(&floor.alice, &order).await?;
    floor.instrument("delist").await?;
    let ended = becomes(&floor.alice, id(&first)?, "cancelled").await?;
    ensure!(ended["reason"] == "DELISTED", "{ended}");
    refused(&floor.alice, &floor.limit("buy", 1, 99_00), "UNKNOWN_SYMBOL").await?;
    let again = floor.alice.place(&order).await?;
    ensure!(
        again.status == 200 && again.replayed && again.body["order"]["id"] == first["order"]["id"],
        "{} {}",
        again.status,
        again.body
    );
    Ok(())
}

/// Two short sessions with a pause between them; then the market is always open again.
pub async fn the_calendar_closes_and_opens(fixture: &Fixture) -> anyhow::Result<()> {
    let floor = Floor::open(fixture).await?;
    let (alice, bob) = (&floor.alice, &floor.bob);
    let of_today = floor.order("sell", 5, 101_00, &json!({"time_in_force": "DAY"}));
    let of_today = placed(alice, &of_today).await?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    // A day later than all that this log has seen: days must come in order.
    let day = now / 86_400 + 1;
    configure(fixture, |config| {
        config["sessions"] = json!([
            {"day": day, "opens_second": now - 60, "closes_second": now + 5},
            {"day": day + 1, "opens_second": now + 9, "closes_second": now + 600},
        ]);
    })?;
    let outcome = async {
        becomes(alice, id(&of_today)?, "expired").await?;
        refused(bob, &floor.limit("buy", 1, 101_00), "MARKET_CLOSED").await?;
        eventually("the day is closed for the account", LIMIT, async || {
            let closed: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM projection.account_events
                 WHERE account_id = $1 AND body->>'kind' = 'DAY_CLOSED' AND (body->>'closed_day')::bigint = $2",
            )
            .bind(alice.account_id.parse::<i64>()?)
            .bind(i64::try_from(day)?)
            .fetch_one(&fixture.database)
            .await?;
            Ok(closed == 1)
        })
        .await?;
        eventually("the next session opens", LIMIT, async || {
            let answer = bob.place(&floor.limit("buy", 1, 99_00)).await?;
            Ok(answer.status == 201)
        })
        .await
    }
    .await;
    configure(fixture, |config| config["sessions"] = json!([]))?;
    outcome
}
