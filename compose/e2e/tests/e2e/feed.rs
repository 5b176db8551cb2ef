//! The WebSocket feed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_e2e::client::{Cents, Stream, place_order};
use brokerx_e2e::fixture::{Fixture, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(15);
const CHANNELS: [&str; 3] = ["orders", "balances", "deposits"];

pub async fn the_private_stream_resumes_without_a_gap(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(5_000_00), &[]).await?;
    // What happened before the client connected is missed, and asked for.
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
    // Away, while things happen; then back from where it was.
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
    // On an open connection, too.
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

pub async fn private_channels_need_a_token(fixture: &Fixture) -> anyhow::Result<()> {
    let refused = Stream::open(&fixture.api.stream_url, None, &["orders"], None).await;
    ensure!(refused.is_err(), "a private channel without a token");
    let forged = Stream::open(&fixture.api.stream_url, Some("not.a.token"), &["orders"], None).await;
    ensure!(forged.is_err(), "a private channel with a forged token");
    Stream::open(&fixture.api.stream_url, None, &["quote:AAPL"], None).await?;
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
