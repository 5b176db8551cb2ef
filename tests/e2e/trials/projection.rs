//! The projection can be dropped and folded again from the topics.

use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::log::read_topic;
use brokerx_client::{Cents, eventually, wait_until_quiet};
use brokerx_e2e::fixture::Fixture;
use brokerx_e2e::forgery::{forged, forged_headers};
use brokerx_e2e::instances::get;
use brokerx_schemas::{
    AccountEvent, AccountEventKind, AccountId, AuthEvent, Candle, CandleInterval, CandleUpdate, CashView, Instrument,
    InstrumentEvent, LoginAttempted, LoginOutcome, MarketData, Message, PaymentId, Symbol, Trade, TradeEvent, TradeId,
};
use brokerx_topics::partition::{account_key, partition_of};
use brokerx_topics::service::kafka;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};
use reqwest::Method;
use sqlx::Row;

const LIMIT: Duration = Duration::from_secs(30);

/// Tables whose rows come from the topics, with what identifies a row.
const TABLES: [&str; 10] = [
    "accounts",
    "positions",
    "orders",
    "executions",
    "payments",
    "transfers",
    "account_events",
    "ledger_entries",
    "trades",
    "candles",
];

/// A hash over all rows of each table. The column `closed` of candles is left out: the clock may close one
/// while the projection is folded again.
async fn hashes(fixture: &Fixture) -> anyhow::Result<Vec<(String, i64, String)>> {
    let mut hashes = Vec::new();
    for table in TABLES {
        let query = format!(
            "SELECT count(*) AS rows, coalesce(md5(string_agg(row, '' ORDER BY row)), '') AS hash FROM (SELECT md5((to_jsonb(t) - 'closed')::text) AS row FROM projection.{table} t) AS hashed"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .fetch_one(&fixture.database)
            .await?;
        hashes.push((table.to_owned(), row.try_get("rows")?, row.try_get("hash")?));
    }
    Ok(hashes)
}

pub async fn the_refolded_projection_has_the_same_rows(fixture: &Fixture) -> anyhow::Result<()> {
    wait_until_quiet(&fixture.platform, &fixture.database).await?;
    let before = hashes(fixture).await?;
    fixture.system().process("settlement").stop();
    // Only the owner of the tables can drop them.
    let mut rebuild = fixture
        .system()
        .command_as_owner("brokerx-settlement", &["project", "--rebuild"]);
    let output = rebuild.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = hashes(fixture).await?;
    ensure!(before == after, "before {before:?}\nafter {after:?}");
    ensure!(
        before.iter().all(|(_, rows, _)| *rows > 0),
        "an empty table proves nothing: {before:?}"
    );
    let mut system = fixture.system();
    system.restart("settlement")?;
    Ok(())
}

/// Accounts that the reconciliation says are set aside.
async fn set_aside(fixture: &Fixture) -> anyhow::Result<i64> {
    let path = "/admin/v1/reconciliation";
    let report = fixture
        .api
        .operate(&fixture.operator_key, Method::GET, path, None)
        .await?
        .expect(200)?;
    let checks = report["checks"].as_array().context("no checks")?;
    let check = checks.iter().find(|check| check["name"] == "set_aside");
    check
        .and_then(|check| check["differences"].as_i64())
        .with_context(|| format!("no such check: {report}"))
}

/// Writes events that settlement did not write, though they say so, in this order.
async fn write(fixture: &Fixture, events: &[AccountEvent]) -> anyhow::Result<()> {
    for event in events {
        let headers = forged_headers::<AccountEvent>();
        append_to(fixture, &account_key(event.account_id), event, headers).await?;
    }
    Ok(())
}

/// Leaves a record in `account-events` that settlement did not write: nothing that reads the whole topic may come after.
pub async fn an_account_that_contradicts_holds_up_no_other(fixture: &Fixture) -> anyhow::Result<()> {
    let client = fixture.funded_client(Cents(10_00), &[]).await?;
    let other = fixture.funded_client(Cents(10_00), &[]).await?;
    ensure!(set_aside(fixture).await? == 0, "an account is set aside already");
    let account_id: AccountId = client.account_id.parse()?;
    let events = read_topic::<AccountEvent>(&fixture.platform, &fixture.codec).await?;
    let last = events.iter().rev().find(|record| record.value.account_id == account_id);
    let mut stray = forged(&last.context("no event of the account")?.value);
    stray.account_seq += 100;
    write(fixture, std::slice::from_ref(&stray)).await?;
    eventually("the account is set aside", LIMIT, async || {
        Ok(set_aside(fixture).await? == 1)
    })
    .await?;
    // The others go on, and the account itself with its next event.
    for (session, key) in [(&other, "next-other"), (&client, "next")] {
        session.deposit(Cents(1_00), key).await?;
        eventually("the deposit can be read", LIMIT, async || {
            Ok(session.cash(None).await? == Cents(11_00))
        })
        .await?;
    }
    eventually("nothing is missing", LIMIT, async || Ok(set_aside(fixture).await? == 0)).await?;
    let kept: i64 = sqlx::query_scalar("SELECT account_seq FROM projection.set_aside WHERE account_id = $1")
        .bind(account_id.0)
        .fetch_one(&fixture.database)
        .await?;
    ensure!(kept == stray.account_seq, "the record is kept as evidence");
    Ok(())
}

/// Rows that PostgreSQL refuses: what stands before them in the same batch is projected. Leaves records in
/// `account-events` that settlement did not write, of an account that nobody has.
pub async fn what_stands_before_a_row_that_cannot_be_is_projected(fixture: &Fixture) -> anyhow::Result<()> {
    let client = fixture.funded_client(Cents(10_00), &[]).await?;
    wait_until_quiet(&fixture.platform, &fixture.database).await?;
    ensure!(set_aside(fixture).await? == 0, "an account is set aside already");
    let events = read_topic::<AccountEvent>(&fixture.platform, &fixture.codec).await?;
    let real: AccountId = client.account_id.parse()?;
    let model = events.iter().rev().find(|record| record.value.account_id == real);
    let model = &model.context("no event of the account")?.value;
    let account_id = AccountId(real.0 ^ 1);
    let event = |account_seq, reserved_cents| AccountEvent {
        account_id,
        account_seq,
        cash: Some(CashView {
            balance_cents: 0,
            reserved_cents,
        }),
        positions: Vec::new(),
        ..forged(model)
    };
    // They wait together for the projector, so that they are one batch.
    fixture.system().process("settlement").stop();
    let impossible = 5_00;
    write(
        fixture,
        &[
            event(1, 0),
            event(2, 0),
            event(2, 0),
            event(3, impossible),
            event(4, impossible),
        ],
    )
    .await?;
    fixture.system().restart("settlement")?;
    eventually("the account is set aside", LIMIT, async || {
        Ok(set_aside(fixture).await.unwrap_or_default() == 1)
    })
    .await?;
    let projected = async || -> anyhow::Result<(i64, i64)> {
        let query = "SELECT account_seq, (SELECT count(*) FROM projection.account_events AS event
                                          WHERE event.account_id = account.account_id)
                     FROM projection.accounts AS account WHERE account_id = $1";
        let query = sqlx::query_as(query).bind(account_id.0);
        Ok(query.fetch_one(&fixture.database).await?)
    };
    ensure!(projected().await? == (2, 2), "{:?}", projected().await?);
    let evidence: (i64, i64, i64) =
        sqlx::query_as("SELECT account_seq, projected_seq, events FROM projection.set_aside WHERE account_id = $1")
            .bind(account_id.0)
            .fetch_one(&fixture.database)
            .await?;
    ensure!(
        evidence == (3, 2, 2),
        "the first that cannot be is the evidence: {evidence:?}"
    );
    // A duplicate does not make it follow, its next event does.
    write(fixture, &[event(2, 0)]).await?;
    client.deposit(Cents(1_00), "behind-it").await?;
    eventually("what was sent later is projected", LIMIT, async || {
        Ok(client.cash(None).await? == Cents(11_00))
    })
    .await?;
    wait_until_quiet(&fixture.platform, &fixture.database).await?;
    ensure!(set_aside(fixture).await? == 1, "it counts as following");
    write(fixture, &[event(3, 0), event(4, 0)]).await?;
    eventually("nothing is missing", LIMIT, async || Ok(set_aside(fixture).await? == 0)).await?;
    ensure!(projected().await? == (4, 4), "{:?}", projected().await?);
    Ok(())
}

/// Rows of trades, identity events and candles that PostgreSQL refuses: they are set aside, and everything else is
/// projected. Leaves records that no worker of ours wrote, and that are set aside.
pub async fn a_row_that_is_refused_for_good_holds_up_no_other(fixture: &Fixture) -> anyhow::Result<()> {
    let client = fixture.funded_client(Cents(10_00), &[]).await?;
    ensure!(set_aside(fixture).await? == 0, "something is set aside already");
    let trades = read_topic::<TradeEvent>(&fixture.platform, &fixture.codec).await?;
    let trade = trades.iter().find_map(|record| match &record.value {
        TradeEvent::Trade(trade) => Some(*trade),
        TradeEvent::Unknown => None,
    });
    let trade = trade.context("nobody has traded")?;
    let numbered = |trade_id, quantity| {
        TradeEvent::Trade(Trade {
            trade_id: TradeId(trade_id),
            quantity,
            ..trade
        })
    };
    // Longer than an entry of an index may be, and not to be compressed.
    let numbers = (0..2_000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
    let long: String = numbers
        .map(|number| format!("{:x}", number.wrapping_mul(number)))
        .collect();
    let login = |event_id, client_id: &str| {
        AuthEvent::LoginAttempted(LoginAttempted {
            event_id,
            client_id: Some(client_id.to_owned()),
            outcome: LoginOutcome::Succeeded,
            occurred_us: 1,
        })
    };
    let candle = |low_cents| {
        MarketData::CandleUpdate(CandleUpdate {
            symbol: trade.symbol,
            candles: vec![Candle {
                interval: CandleInterval::Second,
                start_us: 1_000_000,
                open_cents: 100,
                high_cents: 110,
                low_cents,
                close_cents: 105,
                volume: 1,
                trade_count: 1,
                closed: true,
            }],
            occurred_us: 2_000_000,
        })
    };
    // They wait together for the projector, so that they are one batch.
    fixture.system().process("settlement").stop();
    for trade in [numbered(-1, 1), numbered(-2, 0), numbered(-3, 1)] {
        append(fixture, "x", &trade).await?;
    }
    append(fixture, "x", &login(-1, &long)).await?;
    append(fixture, "x", &login(-2, "x")).await?;
    append(fixture, "x", &candle(0)).await?;
    fixture.system().restart("settlement")?;
    eventually("three rows are set aside", LIMIT, async || {
        Ok(set_aside(fixture).await.unwrap_or_default() == 3)
    })
    .await?;
    let projected: (Vec<i64>, Vec<i64>) = sqlx::query_as(
        "SELECT (SELECT array_agg(trade_id ORDER BY trade_id) FROM projection.trades WHERE trade_id < 0),
                (SELECT array_agg(event_id) FROM projection.auth_events WHERE event_id < 0)",
    )
    .fetch_one(&fixture.database)
    .await?;
    ensure!(projected == (vec![-3, -1], vec![-2]), "{projected:?}");
    client.deposit(Cents(1_00), "beside-them").await?;
    eventually("the deposit can be read", LIMIT, async || {
        Ok(client.cash(None).await? == Cents(11_00))
    })
    .await?;
    let evidence: Vec<(String, String, bool)> = sqlx::query_as(
        "SELECT topic, subject, reason <> '' AND body <> '' FROM projection.set_aside_records ORDER BY topic",
    )
    .fetch_all(&fixture.database)
    .await?;
    let candle_name = format!("candle {} SECOND 1000000", trade.symbol);
    let expected = [
        ("auth", "identity event -1"),
        ("market-data", candle_name.as_str()),
        ("trades", "trade -2"),
    ]
    .map(|(topic, subject)| (topic.to_owned(), subject.to_owned(), true));
    ensure!(evidence == expected, "{evidence:?}");
    let (_, metrics) = get(fixture, "settlement", "/metrics").await?;
    ensure!(
        metrics.lines().any(|line| line == "brokerx_projector_set_aside_rows 3"),
        "the metric shows them"
    );
    // How the candle stands is said by a later record of it.
    append(fixture, "x", &candle(90)).await?;
    eventually("the candle is not missing any more", LIMIT, async || {
        Ok(set_aside(fixture).await? == 2)
    })
    .await
}

/// Good records that name no worker, in topics where only workers write: they pay nothing, list nothing, and nobody
/// shows them. Leaves them there.
pub async fn what_names_no_worker_says_nothing(fixture: &Fixture) -> anyhow::Result<()> {
    let before_them = set_aside(fixture).await?;
    let client = fixture.funded_client(Cents(10_00), &[]).await?;
    let account_id: AccountId = client.account_id.parse()?;
    let events = read_topic::<AccountEvent>(&fixture.platform, &fixture.codec).await?;
    let of_account = || {
        events
            .iter()
            .rev()
            .filter(|record| record.value.account_id == account_id)
    };
    let last = of_account().next().context("no event of the account")?;
    let pending = of_account().find(|record| record.value.kind == AccountEventKind::PaymentPending);
    let mut pending = pending.context("no pending payment")?.value.clone();
    pending.account_seq = last.value.account_seq + 1;
    let payment = pending.payment.as_mut().context("no payment")?;
    payment.payment_id = PaymentId(payment.payment_id.0 ^ 1);
    let payment_id = payment.payment_id;
    let trades = read_topic::<TradeEvent>(&fixture.platform, &fixture.codec).await?;
    let trade = trades.iter().find_map(|record| match &record.value {
        TradeEvent::Trade(trade) => Some(Trade {
            trade_id: TradeId(-9),
            ..*trade
        }),
        TradeEvent::Unknown => None,
    });
    let instruments = read_topic::<InstrumentEvent>(&fixture.platform, &fixture.codec).await?;
    let instrument = instruments.iter().find_map(|record| match &record.value {
        InstrumentEvent::Instrument(instrument) => Some(Instrument {
            symbol: Symbol::new("GHOST").ok()?,
            ..instrument.clone()
        }),
        InstrumentEvent::Unknown => None,
    });
    let left_out = async |process: &str, metric: &str| -> anyhow::Result<u64> {
        let (_, metrics) = get(fixture, process, "/metrics").await?;
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix(metric)?.trim().parse().ok());
        Ok(value.unwrap_or(0))
    };
    let counters = [
        ("settlement", "brokerx_payments_left_out_total"),
        (
            "settlement",
            "brokerx_projector_left_out_total{topic=\"account-events\"}",
        ),
        ("settlement", "brokerx_projector_left_out_total{topic=\"trades\"}"),
        (
            "notifier",
            "brokerx_reader_records_left_out_total{topic=\"account-events\"}",
        ),
        (
            "ingress",
            "brokerx_reader_records_left_out_total{topic=\"instruments\"}",
        ),
    ];
    let mut before = Vec::new();
    for (process, metric) in counters {
        before.push(left_out(process, metric).await?);
    }
    let mut stream = client
        .stream(&["balances", "deposits"], Some(last.value.account_seq))
        .await?;
    append_to(fixture, &account_key(account_id), &pending, None).await?;
    append_to(
        fixture,
        b"x",
        &TradeEvent::Trade(trade.context("nobody has traded")?),
        None,
    )
    .await?;
    let ghost = InstrumentEvent::Instrument(instrument.context("nothing is listed")?);
    append_to(fixture, b"GHOST", &ghost, None).await?;
    for ((process, metric), before) in counters.into_iter().zip(before) {
        eventually(metric, LIMIT, async || Ok(left_out(process, metric).await? > before)).await?;
    }
    client.deposit(Cents(1_00), "behind-them").await?;
    eventually("the account goes on", LIMIT, async || {
        Ok(client.cash(None).await? == Cents(11_00))
    })
    .await?;
    let event = stream.next_where(LIMIT, |message| message["type"] == "event").await?;
    let payment = event["deposit"]["deposit_id"]
        .as_str()
        .with_context(|| format!("no deposit: {event}"))?;
    ensure!(payment != payment_id.to_string(), "it was pushed: {event}");
    ensure!(set_aside(fixture).await? == before_them, "something more is set aside");
    let rows: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM projection.trades WHERE trade_id = -9)
              + (SELECT count(*) FROM projection.payments WHERE payment_id = $1)",
    )
    .bind(payment_id.0)
    .fetch_one(&fixture.database)
    .await?;
    ensure!(rows == 0, "they were projected");
    let quote = fixture
        .api
        .request(Method::GET, "/api/v1/market/GHOST/quote", &[], None)
        .await?;
    ensure!(quote.status == 404, "{}", quote.body);
    Ok(())
}

/// Appends a record to the partition of its key.
async fn append_to<M: Message>(
    fixture: &Fixture,
    key: &[u8],
    message: &M,
    headers: Option<OwnedHeaders>,
) -> anyhow::Result<()> {
    let mut value = Vec::new();
    fixture.codec.encode(message, &mut value)?;
    let partition = partition_of(key, fixture.partitions(M::TOPIC));
    let producer: FutureProducer = kafka::producer_config(&fixture.platform).create()?;
    let mut record = FutureRecord::to(M::TOPIC).key(key).payload(&value).partition(partition);
    record.headers = headers;
    producer.send(record, LIMIT).await.map_err(|(error, _)| error)?;
    Ok(())
}

/// Appends a record that the worker did not write whom it names, to the last partition of its topic.
async fn append<M: Message>(fixture: &Fixture, key: &str, message: &M) -> anyhow::Result<()> {
    let mut value = Vec::new();
    fixture.codec.encode(message, &mut value)?;
    let partition = fixture.partitions(M::TOPIC) - 1;
    let producer: FutureProducer = kafka::producer_config(&fixture.platform).create()?;
    let mut record = FutureRecord::to(M::TOPIC).key(key).payload(&value).partition(partition);
    record.headers = forged_headers::<M>();
    producer.send(record, LIMIT).await.map_err(|(error, _)| error)?;
    Ok(())
}
