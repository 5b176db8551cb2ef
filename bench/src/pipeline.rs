//! Orders through the pipeline, from `account-commands` to `replies`.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use brokerx_client::Api;
use brokerx_client::log::count_partitions;
use brokerx_schemas::{
    AccountCommand, AccountId, AccountState, AccountStatus, AckMode, CommandId, CommandMeta, Message as _, OrderType,
    PlaceOrder, Reply, ReplyKind, ReplyTo, RequestPayment, SelfTradePrevention, Side, Symbol, TimeInForce,
    TransferDirection, TransferShares,
};
use brokerx_topics::catalogue;
use brokerx_topics::codec::Codec;
use brokerx_topics::partition::{account_key, partition_of};
use brokerx_topics::service::PlatformOptions;
use rand::RngExt;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message as _;
use rdkafka::producer::BaseProducer;
use reqwest::Method;
use serde_json::json;

use crate::kafka;
use crate::options::Options;
use crate::pace::Pace;
use crate::rounds::Latencies;

/// Orders of one account that wait for their replies. An order is open for as long as the other half of its
/// pair, which may be behind in another partition: twice this must fit into the open orders that an account
/// may have (200), however many orders are drained.
const UNANSWERED_PER_ACCOUNT_MAX: u32 = 90;
/// How long nothing may come back.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
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
    /// Of the inbox.
    partitions: i32,
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
            partitions: count_partitions(&options.platform, AccountCommand::TOPIC)?,
        };
        let commands = pipeline.opening_commands();
        pipeline.send_all(commands, None).await?;
        Ok(pipeline)
    }

    /// The last partition of `replies`: no ingress of a local system reads it.
    fn reply_partition() -> i32 {
        catalogue::topic(Reply::TOPIC).fixed_count() - 1
    }

    fn meta(command_id: CommandId) -> CommandMeta {
        CommandMeta {
            command_id,
            reply_to: Some(ReplyTo {
                instance: "bench".to_owned(),
                partition: Self::reply_partition(),
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
        ensure!(
            latencies.failed == 0,
            "{} of {orders} orders were refused: {}. More --accounts share the orders, fewer --drained-orders need less",
            latencies.failed,
            latencies.reasons()
        );
        Ok(f64::from(orders) / took.as_secs_f64())
    }

    async fn send_all(
        &self,
        commands: Vec<Command>,
        pace: Option<(u32, u32)>,
    ) -> anyhow::Result<(Latencies, Duration)> {
        let consumer = kafka::consumer_at_end(&self.platform, Reply::TOPIC, &[Self::reply_partition()])?;
        let due = Arc::new(Due::default());
        let producer = kafka::producer(&self.platform)?;
        let replies = commands.iter().filter(|(_, _, id)| id.is_some()).count();
        let pace = pace.map(|(rate, seconds)| Pace::new(rate, seconds));
        let latencies = Latencies::from(pace.map_or_else(Instant::now, |pace| pace.measured_from()));
        let (codec, pending) = (self.codec.clone(), Arc::clone(&due));
        let reader = tokio::spawn(kafka::blocking(move || {
            let latencies = read(&consumer, &codec, replies, latencies, &pending);
            // Whether it went well or not: nobody waits for room any more.
            pending.end();
            latencies
        }));
        let (codec, partitions) = (self.codec.clone(), self.partitions);
        let started = Instant::now();
        let written = kafka::blocking(move || write(&producer, &codec, (commands, partitions), pace, &due)).await;
        // Why no replies come says more than that the writer waited for them in vain.
        let latencies = reader.await??;
        written?;
        Ok((latencies, started.elapsed()))
    }
}

type Command = (AccountId, AccountCommand, Option<CommandId>);

/// The commands that wait for their replies.
#[derive(Default)]
struct Due {
    waiting: Mutex<Waiting>,
    /// Told when a reply has come.
    answered: Condvar,
}

#[derive(Default)]
struct Waiting {
    since: HashMap<CommandId, (AccountId, Instant)>,
    /// How many of an account.
    accounts: HashMap<AccountId, u32>,
    /// Whether no reply will come any more.
    is_over: bool,
}

impl Due {
    /// Notes a command; with `bounded`, waits until its account has room for it.
    fn add(&self, account_id: AccountId, command_id: CommandId, moment: Instant, bounded: bool) -> anyhow::Result<()> {
        let mut waiting = self.lock();
        while bounded && waiting.accounts.get(&account_id).copied().unwrap_or(0) >= UNANSWERED_PER_ACCOUNT_MAX {
            ensure!(!waiting.is_over, "the replies have ended");
            let (woken, waited) = self
                .answered
                .wait_timeout(waiting, SILENCE_LIMIT)
                .unwrap_or_else(PoisonError::into_inner);
            ensure!(
                !waited.timed_out(),
                "no reply came for {SILENCE_LIMIT:?}; see ./brokerx status"
            );
            waiting = woken;
        }
        waiting.since.insert(command_id, (account_id, moment));
        *waiting.accounts.entry(account_id).or_default() += 1;
        Ok(())
    }

    /// Takes a command for which a reply came; none for one that is not of this run.
    fn answer(&self, command_id: CommandId) -> Option<Instant> {
        let mut waiting = self.lock();
        let (account_id, moment) = waiting.since.remove(&command_id)?;
        if let Some(count) = waiting.accounts.get_mut(&account_id) {
            *count -= 1;
        }
        drop(waiting);
        self.answered.notify_one();
        Some(moment)
    }

    fn end(&self) {
        self.lock().is_over = true;
        self.answered.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_id() -> CommandId {
    CommandId::from_uuid(uuid::Uuid::new_v4())
}

fn write(
    producer: &BaseProducer,
    codec: &Codec,
    (commands, partitions): (Vec<Command>, i32),
    pace: Option<Pace>,
    due: &Due,
) -> anyhow::Result<()> {
    let mut value = Vec::new();
    for (number, (account_id, command, command_id)) in commands.into_iter().enumerate() {
        let moment = pace.map_or_else(Instant::now, |pace| pace.due(number as u32));
        if let Some(command_id) = command_id {
            // A paced order comes when it is due, and not when there is room.
            due.add(account_id, command_id, moment, pace.is_none())?;
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
            AccountCommand::TOPIC,
            partition_of(&key, partitions),
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
            last.elapsed() < SILENCE_LIMIT,
            "only {seen} of {replies} replies came, and none for {SILENCE_LIMIT:?}; see ./brokerx status and ./brokerx logs settlement"
        );
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        let reply: Reply = codec
            .decode(message.payload().unwrap_or_default())
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        // A reply that a restarted worker sends again, or one for another benchmark.
        let Some(moment) = due.answer(reply.command_id) else {
            continue;
        };
        if reply.kind == ReplyKind::Refused {
            latencies.fail(reply.refusal.map(|refusal| refusal.reason));
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_so_many_orders_on_the_way_however_many_are_drained() {
        let due = Arc::new(Due::default());
        let (fast, slow) = (AccountId(1), AccountId(2));
        let ids: Vec<CommandId> = (0..=UNANSWERED_PER_ACCOUNT_MAX).map(|_| new_id()).collect();
        let (last, first) = ids.split_last().unwrap();
        for id in first {
            due.add(slow, *id, Instant::now(), true).unwrap();
        }
        // Another account has its own room, and a paced order does not wait.
        due.add(fast, new_id(), Instant::now(), true).unwrap();
        due.add(slow, new_id(), Instant::now(), false).unwrap();
        let (waiting, id) = (Arc::clone(&due), *last);
        let writer = std::thread::spawn(move || waiting.add(slow, id, Instant::now(), true));
        assert!(due.answer(new_id()).is_none());
        for id in &first[..2] {
            assert!(!writer.is_finished());
            assert!(due.answer(*id).is_some());
        }
        writer.join().unwrap().unwrap();
        due.end();
        let waiting = Arc::clone(&due);
        let over = std::thread::spawn(move || waiting.add(slow, new_id(), Instant::now(), true));
        assert!(over.join().unwrap().is_err());
    }
}
