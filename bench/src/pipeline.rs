//! Orders through the pipeline, from `account-commands` to `replies`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use brokerx_client::Api;
use brokerx_schemas::{
    AccountCommand, AccountId, AccountState, AccountStatus, AckMode, CommandId, CommandMeta, OrderType, PlaceOrder,
    Reply, ReplyKind, ReplyTo, RequestPayment, SelfTradePrevention, Side, Symbol, TimeInForce, TransferDirection,
    TransferShares,
};
use brokerx_topics::codec::Codec;
use brokerx_topics::partition::{account_key, partition_of};
use brokerx_topics::service::PlatformOptions;
use rand::RngExt;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message;
use rdkafka::producer::BaseProducer;
use reqwest::Method;
use serde_json::json;

use crate::kafka;
use crate::options::Options;
use crate::pace::Pace;
use crate::report::Latencies;

const ACCOUNT_PARTITIONS: i32 = 8;
/// The last of the 64 partitions of `replies`: no ingress of a local system reads it.
const REPLY_PARTITION: i32 = 63;
const SYMBOLS: usize = 16;
const PRICE_CENTS: i64 = 10_00;

/// Accounts with money and shares, and symbols of their own.
pub struct Pipeline {
    platform: PlatformOptions,
    codec: Codec,
    accounts: Vec<AccountId>,
    symbols: Vec<Symbol>,
    orders: u64,
    run: u64,
}

impl Pipeline {
    /// Makes accounts with money and shares, and lists symbols.
    pub async fn prepare(options: &Options, api: &Api, codec: &Codec) -> anyhow::Result<Self> {
        let run = rand::rng().random::<u32>().into();
        let symbols = list_symbols(options, api).await?;
        let accounts: Vec<AccountId> = (0..options.accounts)
            .map(|_| AccountId(rand::rng().random_range(1..i64::MAX)))
            .collect();
        let mut pipeline = Self {
            platform: options.platform.clone(),
            codec: codec.clone(),
            accounts,
            symbols,
            orders: 0,
            run,
        };
        let commands = pipeline.opening_commands();
        pipeline.send_all(commands, None).await?;
        Ok(pipeline)
    }

    fn meta(command_id: CommandId) -> CommandMeta {
        CommandMeta {
            command_id,
            reply_to: Some(ReplyTo {
                instance: "bench".to_owned(),
                partition: REPLY_PARTITION,
            }),
            deadline_us: i64::MAX,
        }
    }

    fn opening_commands(&mut self) -> Vec<Command> {
        let mut commands = Vec::new();
        for &account_id in &self.accounts {
            let status = AccountStatus {
                account_id,
                state: AccountState::Active,
                version: 1,
            };
            commands.push((account_id, AccountCommand::AccountStatus(status), None));
            for number in 0..3 {
                let id = new_id();
                let deposit = RequestPayment {
                    meta: Self::meta(id),
                    account_id,
                    idempotency_key: format!("bench-{number}"),
                    amount_cents: 10_000_00,
                    currency: "USD".to_owned(),
                };
                commands.push((account_id, AccountCommand::Deposit(deposit), Some(id)));
            }
            for &symbol in &self.symbols {
                let id = new_id();
                let transfer = TransferShares {
                    meta: Self::meta(id),
                    account_id,
                    operator: "bench".to_owned(),
                    idempotency_key: None,
                    symbol,
                    quantity: 10_000,
                    direction: TransferDirection::In,
                    price_cents: Some(PRICE_CENTS),
                };
                commands.push((account_id, AccountCommand::TransferShares(transfer), Some(id)));
            }
        }
        commands
    }

    /// The next order. Every second one trades with the one before it, so that books stay small.
    fn order(&mut self) -> Command {
        let number = self.orders;
        self.orders += 1;
        let account_id = self.accounts[(number % self.accounts.len() as u64) as usize];
        let command_id = new_id();
        let order = PlaceOrder {
            meta: Self::meta(command_id),
            account_id,
            client_order_id: format!("{:08x}-{number}", self.run),
            symbol: self.symbols[(number / 2) as usize % self.symbols.len()],
            // The orders of one account also alternate between buy and sell, so that none runs out of money or
            // shares.
            side: if (number + number / self.accounts.len() as u64).is_multiple_of(2) {
                Side::Buy
            } else {
                Side::Sell
            },
            order_type: OrderType::Limit,
            quantity: 1,
            price_cents: Some(PRICE_CENTS),
            stop_price_cents: None,
            collar_price_cents: None,
            time_in_force: TimeInForce::Gtc,
            post_only: false,
            display_quantity: None,
            self_trade_prevention: SelfTradePrevention::CancelIncoming,
            ack_mode: AckMode::Worked,
        };
        (account_id, AccountCommand::PlaceOrder(order), Some(command_id))
    }

    /// The size of an order on the wire.
    pub fn order_bytes(&mut self) -> usize {
        let (_, command, _) = self.order();
        self.orders -= 1;
        let mut bytes = Vec::new();
        self.codec
            .encode(&command, &mut bytes)
            .expect("an order can be encoded");
        bytes.len()
    }

    /// Latency from command to reply at a rate.
    pub async fn latency(&mut self, rate: u32, seconds: u32) -> anyhow::Result<Latencies> {
        // The commands are made before the clock starts.
        let commands = (0..Pace::new(rate, seconds).count()).map(|_| self.order()).collect();
        Ok(self.send_all(commands, Some((rate, seconds))).await?.0)
    }

    /// Orders a second, as fast as they go.
    pub async fn drain(&mut self, orders: u32) -> anyhow::Result<f64> {
        let commands = (0..orders).map(|_| self.order()).collect();
        let (latencies, took) = self.send_all(commands, None).await?;
        ensure!(latencies.failed == 0, "{} orders were refused", latencies.failed);
        Ok(f64::from(orders) / took.as_secs_f64())
    }

    async fn send_all(
        &self,
        commands: Vec<Command>,
        pace: Option<(u32, u32)>,
    ) -> anyhow::Result<(Latencies, Duration)> {
        let consumer = kafka::consumer_at_end(&self.platform, "replies", &[REPLY_PARTITION])?;
        let due = Arc::new(Mutex::new(HashMap::with_capacity(commands.len())));
        let producer = kafka::producer(&self.platform)?;
        let replies = commands.iter().filter(|(_, _, id)| id.is_some()).count();
        let pace = pace.map(|(rate, seconds)| Pace::new(rate, seconds));
        let latencies = Latencies::from(pace.map_or_else(Instant::now, |pace| pace.measured_from()));
        let (codec, pending) = (self.codec.clone(), Arc::clone(&due));
        let reader = tokio::spawn(kafka::blocking(move || {
            read(&consumer, &codec, replies, latencies, &pending)
        }));
        let codec = self.codec.clone();
        let started = Instant::now();
        kafka::blocking(move || write(&producer, &codec, commands, pace, &due)).await?;
        let latencies = reader.await??;
        Ok((latencies, started.elapsed()))
    }
}

type Command = (AccountId, AccountCommand, Option<CommandId>);
type Due = Mutex<HashMap<CommandId, Instant>>;

fn new_id() -> CommandId {
    CommandId::from_uuid(uuid::Uuid::new_v4())
}

fn write(
    producer: &BaseProducer,
    codec: &Codec,
    commands: Vec<Command>,
    pace: Option<Pace>,
    due: &Due,
) -> anyhow::Result<()> {
    let mut value = Vec::new();
    for (number, (account_id, command, command_id)) in commands.into_iter().enumerate() {
        let moment = pace.map_or_else(Instant::now, |pace| pace.due(number as u32));
        if let Some(command_id) = command_id {
            due.lock()
                .expect("the reader does not panic")
                .insert(command_id, moment);
        }
        match pace {
            Some(_) => kafka::wait_until(moment, producer),
            None => producer.poll(Duration::ZERO),
        }
        value.clear();
        codec.encode(&command, &mut value)?;
        let key = account_key(account_id);
        kafka::send(
            producer,
            "account-commands",
            partition_of(&key, ACCOUNT_PARTITIONS),
            &key,
            &value,
        )?;
    }
    kafka::drain(producer)
}

fn read(
    consumer: &BaseConsumer,
    codec: &Codec,
    replies: usize,
    mut latencies: Latencies,
    due: &Due,
) -> anyhow::Result<Latencies> {
    let mut last = Instant::now();
    let mut seen = 0;
    while seen < replies {
        ensure!(
            last.elapsed() < Duration::from_secs(60),
            "only {seen} of {replies} replies came"
        );
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        let reply: Reply = codec
            .decode(message.payload().unwrap_or_default())
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        // A reply that a restarted worker sends again, or one for another benchmark.
        let Some(moment) = due.lock().expect("the writer does not panic").remove(&reply.command_id) else {
            continue;
        };
        if reply.kind == ReplyKind::Refused {
            latencies.failed += 1;
        }
        latencies.record(moment);
        last = Instant::now();
        seen += 1;
    }
    Ok(latencies)
}

async fn list_symbols(options: &Options, api: &Api) -> anyhow::Result<Vec<Symbol>> {
    let mut symbols = Vec::new();
    for number in 0..SYMBOLS {
        let symbol = format!("BENCH{number}");
        let body = json!({"symbol": symbol, "name": "Benchmark", "tick_size": "0.01", "reference_price": "10.00", "band_percent": "5"});
        let answer = api
            .operate(
                &options.operator_key,
                Method::POST,
                "/admin/v1/instruments",
                Some(&body),
            )
            .await?;
        ensure!(
            [200, 201, 409].contains(&answer.status),
            "listing {symbol}: {} {}",
            answer.status,
            answer.body
        );
        symbols.push(Symbol::new(&symbol).context("a symbol of the benchmark")?);
    }
    Ok(symbols)
}
