//! The story: two clients and an operator.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use brokerx_client::{Answer, Api, Cents, Session, Stream, place_order, verification_link};
use reqwest::Method;
use serde_json::{Value, json};

use crate::transcript::Transcript;

const LIMIT: Duration = Duration::from_secs(10);
const PASSWORD: &str = "Correct-Horse-9";

/// A symbol for this run alone, so that nobody else's orders are in its book.
fn symbol_of(run: u64) -> String {
    let mut rest = run;
    let letters: String = (0..7)
        .map(|_| {
            let letter = (b'A' + (rest % 26) as u8) as char;
            rest /= 26;
            letter
        })
        .collect();
    format!("DEMO{letters}")
}

fn text<'a>(value: &'a Value, what: &str) -> anyhow::Result<&'a str> {
    value.as_str().with_context(|| format!("{what} is missing"))
}

/// Tells the story; fails at the first step where the system does not do what it should.
pub async fn tell(api: &Api, mail_dir: &Path, operator_key: &str) -> anyhow::Result<()> {
    let mut transcript = Transcript::default();
    let run = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_millis() as u64;
    let symbol = symbol_of(run);

    transcript.chapter("Two clients register, verify by the mailed link, log in");
    let buyer = join(
        api,
        mail_dir,
        &format!("buyer-{run}@example.com"),
        "Buyer",
        &mut transcript,
    )
    .await?;
    let seller = join(
        api,
        mail_dir,
        &format!("seller-{run}@example.com"),
        "Seller",
        &mut transcript,
    )
    .await?;

    transcript.chapter("They open their feeds");
    let channels = ["orders", "balances", "deposits"];
    let started = Instant::now();
    let mut buyer_feed = buyer.stream(&channels, None).await?;
    let mut seller_feed = seller.stream(&channels, None).await?;
    transcript.step(
        "both are connected and subscribed to orders, balances and deposits",
        started.elapsed(),
    );

    transcript.chapter("They deposit");
    deposit(
        &buyer,
        &mut buyer_feed,
        Cents(5_000_00),
        &format!("first-{run}"),
        &mut transcript,
    )
    .await?;
    deposit(
        &seller,
        &mut seller_feed,
        Cents(100_00),
        &format!("first-{run}"),
        &mut transcript,
    )
    .await?;
    let again = buyer.deposit(Cents(5_000_00), &format!("first-{run}")).await?;
    ensure!(
        again.status == 200,
        "a repeated deposit answered {}: {}",
        again.status,
        again.body
    );
    transcript.step(
        "the buyer's deposit, sent again with the same key: 200, nothing moved",
        again.elapsed,
    );
    let other = buyer.deposit(Cents(4_000_00), &format!("first-{run}")).await?;
    ensure!(
        other.code() == "IDEMPOTENCY_MISMATCH",
        "other content answered {}",
        other.body
    );
    transcript.step(
        "the same key with other content: 409 IDEMPOTENCY_MISMATCH",
        other.elapsed,
    );

    transcript.chapter("An operator lists an instrument and credits shares");
    let listing = json!({"symbol": symbol, "name": "Demonstration Incorporated", "tick_size": "0.01",
                         "reference_price": "100.00", "band_percent": "5"});
    let listed = api
        .operate(operator_key, Method::POST, "/admin/v1/instruments", Some(&listing))
        .await?;
    transcript.step(
        &format!("{symbol} is listed at a reference price of 100.00"),
        listed.elapsed,
    );
    listed.expect(201)?;
    wait_for_instrument(api, &symbol).await?;
    let path = format!("/admin/v1/accounts/{}/transfers", seller.account_id);
    let transfer = json!({"symbol": symbol, "quantity": 50, "direction": "in", "price": "90.00"});
    let credited = api.operate(operator_key, Method::POST, &path, Some(&transfer)).await?;
    transcript.step("50 shares are credited to the seller", credited.elapsed);
    credited.expect(201)?;

    transcript.chapter("Orders rest, cross, fill in part");
    let market_channels = [format!("quote:{symbol}"), format!("trades:{symbol}")];
    let mut tape = Stream::open(&api.stream_url, None, &[&market_channels[0], &market_channels[1]], None).await?;
    let ask = placed(
        &seller,
        place_order("ask-1", &symbol, "sell", 30, Some(Cents(101_00)), "GTC"),
        "working",
        "the seller offers 30 at 101.00: working",
        &mut transcript,
    )
    .await?;
    let first = placed(
        &buyer,
        place_order("bid-1", &symbol, "buy", 10, Some(Cents(101_00)), "GTC"),
        "filled",
        "the buyer takes 10 at 101.00: filled",
        &mut transcript,
    )
    .await?;
    ensure!(first["order"]["average_price"] == "101.00", "average price of {first}");
    let second = placed(
        &buyer,
        place_order("bid-2", &symbol, "buy", 5, None, "IOC"),
        "filled",
        "the buyer takes 5 at the market: filled",
        &mut transcript,
    )
    .await?;
    pushed(
        &mut buyer_feed,
        &first,
        "ORDER_EXECUTED",
        "the buyer is told of the first fill",
        &mut transcript,
    )
    .await?;
    pushed(
        &mut buyer_feed,
        &second,
        "ORDER_EXECUTED",
        "and of the second",
        &mut transcript,
    )
    .await?;
    for _ in 0..2 {
        pushed(
            &mut seller_feed,
            &ask,
            "ORDER_EXECUTED",
            "the seller is told of its fill",
            &mut transcript,
        )
        .await?;
    }
    let started = Instant::now();
    let trade = tape
        .next_where(LIMIT, |message| {
            message["type"] == "trade" && message["symbol"] == symbol.as_str()
        })
        .await?;
    ensure!(
        trade["price"] == "101.00" && trade["quantity"] == 10,
        "the tape shows {trade}"
    );
    transcript.step("everybody sees the trade on the tape", started.elapsed());
    let repeat = buyer
        .place(&place_order("bid-1", &symbol, "buy", 10, Some(Cents(101_00)), "GTC"))
        .await?;
    ensure!(
        repeat.status == 200 && repeat.replayed,
        "a repeated order answered {}: {}",
        repeat.status,
        repeat.body
    );
    transcript.step(
        "the buyer's first order, sent again: 200, the original outcome",
        repeat.elapsed,
    );

    transcript.chapter("Orders are cancelled and rejected");
    let ask_id = text(&ask["order"]["id"], "the ask's id")?;
    let cancelled = seller.cancel(ask_id).await?;
    transcript.step(
        "the seller cancels what is left of the offer: 15 of 30 were filled",
        cancelled.elapsed,
    );
    let cancelled = cancelled.expect(200)?;
    ensure!(
        cancelled["order"]["status"] == "cancelled" && cancelled["order"]["filled_quantity"] == 15,
        "{cancelled}"
    );
    let rejected = buyer
        .place(&place_order("bid-3", &symbol, "buy", 100, Some(Cents(100_00)), "GTC"))
        .await?;
    ensure!(
        rejected.status == 422 && rejected.code() == "INSUFFICIENT_FUNDS",
        "{}: {}",
        rejected.status,
        rejected.body
    );
    transcript.step(
        "the buyer asks for 100 at 100.00: 422 INSUFFICIENT_FUNDS",
        rejected.elapsed,
    );
    let short = buyer
        .place(&place_order("ask-9", &symbol, "sell", 16, Some(Cents(100_00)), "GTC"))
        .await?;
    ensure!(
        short.code() == "INSUFFICIENT_SHARES",
        "{}: {}",
        short.status,
        short.body
    );
    transcript.step(
        "the buyer offers more than it holds: 422 INSUFFICIENT_SHARES",
        short.elapsed,
    );

    transcript.chapter("It adds up to the cent");
    // 15 x 101.00 = 1,515.00. Fees: the buyer took with both orders, 5 bps of 1,010.00 is 0.51 (0.505
    // half up) and of 505.00 is 0.25 (0.2525). The seller made with one order, 2 bps of 1,515.00 is
    // 0.30 (0.303).
    portfolio(&buyer, &symbol, Cents(3_484_24), 15, &mut transcript).await?;
    portfolio(&seller, &symbol, Cents(1_614_70), 35, &mut transcript).await?;

    println!("\nThe demo went well: {} steps.", transcript.steps());
    Ok(())
}

async fn join(
    api: &Api,
    mail_dir: &Path,
    email: &str,
    name: &str,
    transcript: &mut Transcript,
) -> anyhow::Result<Session> {
    let registered = api.register_in_turn(email, PASSWORD, name).await?;
    transcript.step(&format!("{name} registers"), registered.elapsed);
    registered.expect(201)?;
    let early = api.log_in(email, PASSWORD).await?;
    ensure!(
        early.code() == "NOT_VERIFIED",
        "an unverified client logged in: {}",
        early.body
    );
    let started = Instant::now();
    let link = verification_link(mail_dir, email, LIMIT).await?;
    transcript.step("the mail with the link arrives", started.elapsed());
    let verified = api.open_link(&link).await?;
    transcript.step("its link is confirmed", verified.elapsed);
    verified.expect(200)?;
    let answer = api.log_in(email, PASSWORD).await?;
    transcript.step(&format!("{name} logs in"), answer.elapsed);
    Session::new(api, answer).await
}

async fn deposit(
    client: &Session,
    feed: &mut Stream,
    amount: Cents,
    key: &str,
    transcript: &mut Transcript,
) -> anyhow::Result<()> {
    // The account's status comes through the pipeline after the verification, so it may take a moment.
    let deadline = Instant::now() + LIMIT;
    let answer = loop {
        let answer = client.deposit(amount, key).await?;
        if answer.code() != "ACCOUNT_NOT_ACTIVE" || Instant::now() > deadline {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    transcript.step(&format!("a deposit of {amount} settles"), answer.elapsed);
    let body = answer.expect(201)?;
    ensure!(
        body["status"] == "settled" && body["amount"] == amount.to_string(),
        "{body}"
    );
    let started = Instant::now();
    let push = feed
        .next_where(LIMIT, |message| message["event"] == "PAYMENT_SETTLED")
        .await?;
    ensure!(push["cash"]["balance"] == amount.to_string(), "{push}");
    transcript.step("and is pushed with the new balance", started.elapsed());
    Ok(())
}

async fn wait_for_instrument(api: &Api, symbol: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let quote = api
            .request(Method::GET, &format!("/api/v1/market/{symbol}/quote"), &[], None)
            .await?;
        if quote.status == 200 {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{symbol} was listed and does not appear: {}",
            quote.body
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn placed(
    client: &Session,
    order: Value,
    status: &str,
    what: &str,
    transcript: &mut Transcript,
) -> anyhow::Result<Value> {
    let answer: Answer = client.place(&order).await?;
    transcript.step(what, answer.elapsed);
    let body = answer.expect(201)?;
    ensure!(body["order"]["status"] == status, "expected {status}: {body}");
    Ok(body)
}

async fn pushed(
    feed: &mut Stream,
    placed: &Value,
    event: &str,
    what: &str,
    transcript: &mut Transcript,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let id = &placed["order"]["id"];
    feed.next_where(LIMIT, |message| {
        message["event"] == event && message["order"]["id"] == *id
    })
    .await?;
    transcript.step(what, started.elapsed());
    Ok(())
}

async fn portfolio(
    client: &Session,
    symbol: &str,
    cash: Cents,
    shares: i64,
    transcript: &mut Transcript,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let deadline = started + LIMIT;
    loop {
        let portfolio = client.portfolio(None).await?;
        let position = portfolio["positions"]
            .as_array()
            .and_then(|positions| positions.iter().find(|position| position["symbol"] == symbol))
            .map(|position| position["quantity"].clone());
        let balance = &portfolio["cash"];
        if balance["balance"] == cash.to_string() && balance["reserved"] == "0.00" && position == Some(json!(shares)) {
            transcript.step(
                &format!("{cash} in cash, {shares} {symbol}, nothing reserved"),
                started.elapsed(),
            );
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "expected {cash} and {shares} shares: {portfolio}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
