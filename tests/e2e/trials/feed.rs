//! The WebSocket feed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::{Cents, Stream, eventually, place_order};
use brokerx_e2e::fixture::Fixture;
use reqwest::Method;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(15);
const CHANNELS: [&str; 3] = ["orders", "balances", "deposits"];

pub async fn the_private_stream_resumes_without_a_gap(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(5_000_00), &[]).await?;
    // The client asks for what happened before it connected.
    let mut stream = client.stream(&CHANNELS, Some(0)).await?;
    let mut last = 0;
    for round in 0..5 {
        let order = place_order(&format!("s{round}"), &symbol, "buy", 1, Some(Cents(98_00)), "GTC");
        client.place(&order).await?.expect(201)?;
    }
    let mut working = 0;
    while working < 5 {
        let event = stream.next_where(LIMIT, |message| message["type"] == "event").await?;
        ensure!(event["seq"] == last + 1, "{} follows {last}: {event}", event["seq"]);
        last += 1;
        working += i32::from(event["event"] == "ORDER_WORKING");
    }
    stream.send(&json!({"type": "ack", "seq": last})).await?;
    drop(stream);
    // Things happen while the client is away; it comes back and goes on from where it was.
    client
        .place(&place_order("away", &symbol, "buy", 1, Some(Cents(98_00)), "GTC"))
        .await?
        .expect(201)?;
    let mut stream = client.stream(&CHANNELS, Some(last)).await?;
    client
        .place(&place_order("back", &symbol, "buy", 1, Some(Cents(98_00)), "GTC"))
        .await?
        .expect(201)?;
    let mut seen = Vec::new();
    while seen.last() != Some(&("back".to_owned(), "ORDER_WORKING".to_owned())) {
        let event = stream.next_where(LIMIT, |message| message["type"] == "event").await?;
        ensure!(event["seq"] == last + 1, "{} follows {last}: {event}", event["seq"]);
        last += 1;
        let field = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        seen.push((field(&event["order"]["client_order_id"]), field(&event["event"])));
    }
    ensure!(
        seen.iter().any(|(id, _)| id == "away"),
        "what was missed is missing: {seen:?}"
    );
    // A resume works on an open connection, too.
    stream.send(&json!({"type": "resume", "after": 0})).await?;
    stream
        .next_where(LIMIT, |message| message["type"] == "resuming")
        .await?;
    for expected in 1..=last {
        let event = stream.next_where(LIMIT, |message| message["type"] == "event").await?;
        ensure!(event["seq"] == expected, "{} came for {expected}", event["seq"]);
    }
    Ok(())
}

pub async fn a_clients_close_is_answered(fixture: &Fixture) -> anyhow::Result<()> {
    let client = fixture.funded_client(Cents(1_00), &[]).await?;
    for channels in [&["balances"][..], &["orders", "deposits"]] {
        let stream = client.stream(channels, None).await?;
        let code = stream.close().await?;
        ensure!(code == 1000, "it is answered with {code}");
    }
    Ok(())
}

pub async fn private_channels_need_a_token(fixture: &Fixture) -> anyhow::Result<()> {
    let refused = Stream::open(&fixture.api.stream_url, None, &["orders"], None).await;
    ensure!(refused.is_err(), "a private channel without a token");
    let forged = Stream::open(&fixture.api.stream_url, Some("not.a.token"), &["orders"], None).await;
    ensure!(forged.is_err(), "a private channel with a forged token");
    Stream::open(&fixture.api.stream_url, None, &["quote:AAPL"], None).await?;
    // Not even a good token may stand in the address, which proxies log.
    let client = fixture.client().await?;
    let address = format!("{}?token={}", fixture.api.stream_url, client.token);
    let refused = Stream::open(&address, None, &["quote:AAPL"], None).await;
    let refused = refused.err().context("a token in the address")?;
    ensure!(format!("{refused:#}").contains("400"), "{refused:#}");
    Ok(())
}

type Levels = BTreeMap<String, i64>;

fn apply(levels: &mut Levels, change: &Value) -> anyhow::Result<()> {
    let price = change["price"].as_str().context("a level without a price")?.to_owned();
    match change["quantity"].as_i64().context("a level without a quantity")? {
        0 => levels.remove(&price),
        quantity => levels.insert(price, quantity),
    };
    Ok(())
}

fn levels(side: &Value) -> anyhow::Result<Levels> {
    let mut levels = Levels::new();
    for level in side.as_array().context("no levels")? {
        apply(&mut levels, level)?;
    }
    Ok(levels)
}

pub async fn the_book_can_be_built_from_the_feed(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture
        .funded_client(Cents(9_000_00), &[(symbol.as_str(), 100)])
        .await?;
    client
        .place(&place_order("b0", &symbol, "buy", 3, Some(Cents(97_00)), "GTC"))
        .await?
        .expect(201)?;
    let channel = format!("book:{symbol}");
    let mut stream = Stream::open(&fixture.api.stream_url, None, &[&channel], None).await?;
    let snapshot = stream
        .next_where(LIMIT, |message| message["type"] == "book_snapshot")
        .await?;
    let mut bids = levels(&snapshot["bids"])?;
    let mut asks = levels(&snapshot["asks"])?;
    let mut sequence = snapshot["sequence"].as_i64().context("no sequence")?;
    for round in 0..6 {
        let price = Cents(96_00 + round * 10);
        client
            .place(&place_order(
                &format!("b{}", round + 1),
                &symbol,
                "buy",
                2,
                Some(price),
                "GTC",
            ))
            .await?
            .expect(201)?;
        let price = Cents(103_00 - round * 10);
        client
            .place(&place_order(
                &format!("a{round}"),
                &symbol,
                "sell",
                2,
                Some(price),
                "GTC",
            ))
            .await?
            .expect(201)?;
    }
    let path = format!("/api/v1/market/{symbol}/book");
    while bids.len() < 7 || asks.len() < 6 {
        let update = stream.next_where(LIMIT, |message| message["type"] == "book").await?;
        ensure!(
            update["sequence"].as_i64() == Some(sequence + 1),
            "{update} follows {sequence}"
        );
        sequence += 1;
        for change in update["changes"].as_array().context("no changes")? {
            apply(if change["side"] == "bid" { &mut bids } else { &mut asks }, change)?;
        }
    }
    eventually("the REST book is the same", LIMIT, async || {
        let book = fixture.api.request(Method::GET, &path, &[], None).await?.expect(200)?;
        Ok(levels(&book["bids"])? == bids && levels(&book["asks"])? == asks)
    })
    .await
}

/// Candles and the status of an instrument, pushed and read.
pub async fn candles_and_status_are_pushed(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let buyer = fixture.funded_client(Cents(10_000_00), &[]).await?;
    let seller = fixture.funded_client(Cents(100_00), &[(symbol.as_str(), 100)]).await?;
    let channels = [format!("candles:{symbol}:1s"), format!("status:{symbol}")];
    let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
    let mut stream = buyer.stream(&channels, None).await?;
    let status = stream.next_where(LIMIT, |message| message["type"] == "status").await?;
    ensure!(status["status"] == "open", "{status}");
    for (number, price) in [100_00, 102_00, 99_00].into_iter().enumerate() {
        let order = |side: &str, client: &str| {
            place_order(
                &format!("{client}{number}"),
                &symbol,
                side,
                2,
                Some(Cents(price)),
                "GTC",
            )
        };
        seller.place(&order("sell", "s")).await?.expect(201)?;
        buyer.place(&order("buy", "b")).await?.expect(201)?;
    }
    // The three trades lie in one second, or in a few.
    let mut volume = 0;
    while volume < 6 {
        let candle = stream
            .next_where(LIMIT, |message| {
                message["type"] == "candle" && message["closed"] == true
            })
            .await?;
        ensure!(
            candle["symbol"] == symbol.as_str() && candle["interval"] == "1s",
            "{candle}"
        );
        volume += candle["volume"].as_i64().context("a candle without a volume")?;
    }
    ensure!(volume == 6, "{volume} shares in the candles of 6 that traded");
    let path = format!("/api/v1/market/{symbol}/candles?interval=1d");
    eventually("the day's candle is projected", LIMIT, async || {
        let candles = fixture.api.request(Method::GET, &path, &[], None).await?.expect(200)?;
        // There are two candles when midnight has passed meanwhile.
        let items = candles["items"].as_array().context("no items")?;
        let sum: i64 = items.iter().filter_map(|candle| candle["volume"].as_i64()).sum();
        ensure!(sum <= 6, "{candles}");
        if sum < 6 {
            return Ok(false);
        }
        let one = &items[0];
        let right =
            one["open"] == "100.00" && one["high"] == "102.00" && one["low"] == "99.00" && one["close"] == "99.00";
        ensure!(right || items.len() > 1, "{candles}");
        Ok(true)
    })
    .await?;
    let halt = format!("/admin/v1/instruments/{symbol}/halt");
    fixture
        .api
        .operate(&fixture.operator_key, Method::POST, &halt, None)
        .await?
        .expect(200)?;
    stream
        .next_where(LIMIT, |message| {
            message["type"] == "status" && message["status"] == "halted"
        })
        .await?;
    Ok(())
}

pub async fn a_log_out_ends_the_stream_within_two_seconds(fixture: &Fixture) -> anyhow::Result<()> {
    let client = fixture.client().await?;
    let mut stream = client.stream(&CHANNELS, None).await?;
    client
        .request(Method::POST, "/api/v1/auth/logout", None, None)
        .await?
        .expect(204)?;
    let told = stream.next(Duration::from_secs(2)).await;
    let told = told.err().context("the stream goes on")?.to_string();
    ensure!(told.contains("unauthorized"), "{told}");
    Ok(())
}
