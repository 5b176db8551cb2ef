//! Somebody who writes what no worker wrote, and an operator who puts it right each time, while everything else
//! goes wrong:
//!
//! - a fill of an order that nobody placed: the account is frozen, and thawed;
//! - a record of a worker that nobody can read: a partition of settlement's inbox stops, and goes on once it is
//!   passed;
//! - an event whose number does not follow, under settlement's name: the projection sets the account aside, and goes on with its next one.
//!
//! The account is one that nobody watches: its stream shows the stray event.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use brokerx_client::log::read_topic;
use brokerx_client::{Cents, Session, place_order};
use brokerx_e2e::fixture::Fixture;
use brokerx_e2e::forgery::{forged, forged_headers};
use brokerx_e2e::instances::get;
use brokerx_schemas::{
    AccountCommand, AccountEvent, AccountId, Fill, Liquidity, Message, OrderId, Side, Symbol, TradeId,
};
use brokerx_topics::headers::worker_headers;
use brokerx_topics::partition::{account_key, partition_of};
use brokerx_topics::service::kafka;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};
use reqwest::Method;
use serde_json::{Value, json};

use super::guard::{PATIENCE, PAUSE, done, taken};

/// In the registry's wire format, of a schema that nobody ever registered.
const INVENTED: &[u8] = b"\x00\x7f\x00\x00\x01rest";
/// A book partition that no matcher has.
const NO_BOOK: &str = "book-commands-9999";
/// Far behind every number that the account will ever give.
const STRAY_SEQ: i64 = 1_000_000_000;
/// Nobody has seen what became of a stray event for so long: another one is sent.
const ANEW: Duration = Duration::from_secs(5);

/// How often each thing happened, and was put right.
#[derive(Debug, Default)]
pub struct Happened {
    pub freezes: u64,
    pub passes: u64,
    pub set_aside: u64,
}

/// The one who meddles, and its client.
pub struct Meddler<'a> {
    fixture: &'a Fixture,
    session: Session,
    account_id: AccountId,
    symbol: Symbol,
    producer: FutureProducer,
    /// An event of the account, of which stray ones are made.
    event: AccountEvent,
    orders: u64,
    strays: i64,
    happened: Happened,
}

impl<'a> Meddler<'a> {
    pub async fn new(fixture: &'a Fixture) -> anyhow::Result<Self> {
        let session = fixture.funded_client(Cents(1_000_00), &[]).await?;
        let account_id: AccountId = session.account_id.parse()?;
        let events = read_topic::<AccountEvent>(&fixture.platform, &fixture.codec).await?;
        let mut of_account = events.into_iter().map(|record| record.value);
        let event = of_account.rfind(|event| event.account_id == account_id);
        Ok(Self {
            fixture,
            session,
            account_id,
            symbol: Symbol::new(&fixture.instrument().await?).context("a symbol")?,
            producer: kafka::producer_config(&fixture.platform).create()?,
            event: event.context("no event of the account")?,
            orders: 0,
            strays: 0,
            happened: Happened::default(),
        })
    }

    /// Goes on until told to stop; what was begun is put right before it ends.
    pub async fn meddle(mut self, stop: &AtomicBool) -> anyhow::Result<Happened> {
        while !stop.load(Ordering::Relaxed) {
            self.freeze().await.context("a freeze")?;
            if stop.load(Ordering::Relaxed) {
                break;
            }
            self.set_aside().await.context("an account set aside")?;
            if stop.load(Ordering::Relaxed) {
                break;
            }
            self.unreadable().await.context("a record that nobody can read")?;
        }
        Ok(self.happened)
    }

    async fn freeze(&mut self) -> anyhow::Result<()> {
        let seq = self.happened.freezes + 1;
        let fill = AccountCommand::Fill(Fill {
            account_id: self.account_id,
            order_id: OrderId(i64::MAX),
            trade_id: TradeId(i64::MAX),
            symbol: self.symbol,
            side: Side::Buy,
            price_cents: 1_00,
            quantity: 1,
            liquidity: Liquidity::Maker,
            leaves_quantity: 0,
            executed_us: 0,
        });
        let mut value = Vec::new();
        self.fixture.codec.encode(&fill, &mut value)?;
        let headers = worker_headers(NO_BOOK, seq, 0, &Default::default());
        let key = account_key(self.account_id);
        self.send(AccountCommand::TOPIC, &key, &value, Some(headers)).await?;
        let order = self.next_order();
        self.until("it is frozen", async || {
            let answer = self.session.place(&order).await?;
            Ok(answer.code() == "FROZEN")
        })
        .await?;
        let path = format!("/admin/v1/accounts/{}/thaw", self.account_id);
        let key = format!("meddler-{seq}");
        let thawed = self
            .operate(&path, &key, &json!({"note": "nobody placed that order"}))
            .await?;
        ensure!(thawed["frozen"] == false, "{thawed}");
        self.trade().await?;
        self.happened.freezes = seq;
        Ok(())
    }

    async fn set_aside(&mut self) -> anyhow::Result<()> {
        let mut strays = self.strays;
        let mut sent: Option<Instant> = None;
        self.until("it is set aside", async || {
            // What was still on its way for the account, as while a worker is dead, puts it right again before
            // anybody who answers is asked: then another stray comes.
            if sent.is_none_or(|at| at.elapsed() > ANEW) {
                strays += 1;
                self.send_stray(strays).await?;
                sent = Some(Instant::now());
            }
            Ok(self.is_set_aside().await? == Some(true))
        })
        .await?;
        self.strays = strays;
        self.trade().await?;
        self.until("it is not any more", async || {
            Ok(self.is_set_aside().await? == Some(false))
        })
        .await?;
        self.happened.set_aside += 1;
        Ok(())
    }

    /// An event that does not follow what is projected of the account.
    async fn send_stray(&self, number: i64) -> anyhow::Result<()> {
        let stray = AccountEvent {
            account_seq: STRAY_SEQ + number,
            ..forged(&self.event)
        };
        let mut value = Vec::new();
        self.fixture.codec.encode(&stray, &mut value)?;
        let key = account_key(self.account_id);
        let headers = forged_headers::<AccountEvent>();
        self.send(AccountEvent::TOPIC, &key, &value, headers).await?;
        Ok(())
    }

    async fn unreadable(&mut self) -> anyhow::Result<()> {
        let number = self.happened.passes + 1;
        let (topic, key) = (AccountCommand::TOPIC, account_key(self.account_id));
        let headers = worker_headers(&format!("meddler-{number}"), 1, 0, &Default::default());
        let (partition, offset) = self.send(topic, &key, INVENTED, Some(headers)).await?;
        let hint = format!("brokerx-topics pass {topic} {partition} {offset}");
        self.until("a worker says what it waits for", async || {
            for instance in ["settlement", "settlement-1"] {
                if get(self.fixture, instance, "/ready").await?.1.contains(&hint) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await?;
        let (partition, offset) = (partition.to_string(), offset.to_string());
        let arguments = ["pass", topic, &partition, &offset, "--reason", "chaos", "--by", "me"];
        let mut command = self.fixture.system().command("brokerx-topics", &arguments);
        let passed = tokio::task::spawn_blocking(move || command.output()).await??;
        ensure!(passed.status.success(), "{}", String::from_utf8_lossy(&passed.stderr));
        self.trade().await?;
        self.happened.passes = number;
        Ok(())
    }

    /// An order goes through the account's partition and its book, and leaves both again.
    async fn trade(&mut self) -> anyhow::Result<()> {
        let session = self.session.clone();
        let placed = taken(&session, || self.next_order()).await?;
        let path = format!(
            "/api/v1/orders/{}/cancel",
            placed["order"]["id"].as_str().context("an order without an id")?
        );
        self.until("it is cancelled", async || {
            let answer = self
                .session
                .request(Method::POST, &path, None, Some(&json!({})))
                .await?;
            Ok(answer.status == 200 || answer.code() == "ORDER_CLOSED")
        })
        .await
    }

    fn next_order(&mut self) -> Value {
        self.orders += 1;
        let id = format!("meddled-{}", self.orders);
        place_order(&id, self.symbol.as_str(), "buy", 1, Some(Cents(99_00)), "GTC")
    }

    /// Whether the reconciliation lists an account that is set aside; none when it cannot be asked.
    async fn is_set_aside(&self) -> anyhow::Result<Option<bool>> {
        let path = "/admin/v1/reconciliation";
        let (api, key) = (&self.fixture.api, &self.fixture.operator_key);
        let report = api.operate(key, Method::GET, path, None).await?;
        let checks = report.body["checks"].as_array().into_iter().flatten();
        let mut set_aside = checks.filter(|check| check["name"] == "set_aside");
        Ok(set_aside.find_map(|check| Some(check["differences"].as_i64()? > 0)))
    }

    async fn operate(&self, path: &str, key: &str, body: &Value) -> anyhow::Result<Value> {
        let headers = [
            ("X-API-Key", self.fixture.operator_key.as_str()),
            ("Idempotency-Key", key),
        ];
        done(path, async || {
            self.fixture.api.request(Method::POST, path, &headers, Some(body)).await
        })
        .await
    }

    async fn send(
        &self,
        topic: &str,
        key: &[u8],
        value: &[u8],
        headers: Option<OwnedHeaders>,
    ) -> anyhow::Result<(i32, i64)> {
        let partition = partition_of(key, self.fixture.partitions(topic));
        let mut record = FutureRecord::to(topic).partition(partition).key(key).payload(value);
        record.headers = headers;
        let sent = self.producer.send(record, PATIENCE).await;
        let sent = sent.map_err(|(error, _)| error)?;
        Ok((sent.partition, sent.offset))
    }

    /// Asks until it holds; whoever is asked may be dead meanwhile.
    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let held = holds().await;
            if matches!(held, Ok(true)) {
                return Ok(());
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "not after {PATIENCE:?}: {what} ({held:?})"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}
