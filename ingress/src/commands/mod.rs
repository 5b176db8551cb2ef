//! Commands into Kafka, and their outcomes back to the request that waits.
//!
//! A command goes to the partition of its account or symbol with this instance's reply address and
//! a deadline. [`Commands::account`] returns the outcome, or [`Outcome::Late`]
//! when it takes longer than the limit: the command may still be applied, until its deadline. Those that
//! go on after their request has been answered ([`Commands::account_to_its_end`]) wait longer. All fail
//! only when nothing was handed to the producer, so after every problem that they return the same
//! request may be sent again.

mod pending;
mod quota;
mod replies;
mod told;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use brokerx_schemas::{
    AccountCommand, AccountId, BookCommand, CommandId, CommandMeta, Message, Reply, ReplyTo, Symbol,
};
use brokerx_topics::catalogue;
use brokerx_topics::codec::Codec;
use brokerx_topics::headers::{Trace, trace_headers};
use brokerx_topics::partition::{account_key, partition_of, symbol_key};
use brokerx_topics::service::clock::now_us;
use brokerx_topics::service::{DeliveringProducer, Outbound};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::http::Problem;
use crate::telemetry::CommandMetrics;

pub use pending::Pending;
use quota::DayQuota;
pub use replies::ReplySink;
pub use told::{Decision, Told, UNDECIDED_FOR};

/// How long an outcome is waited for when no request waits: far longer than a command's deadline, and
/// than a worker needs that takes over from one that died.
const END_LIMIT: Duration = Duration::from_secs(60);

/// What came of a command within the limit.
#[derive(Debug)]
pub enum Outcome {
    /// The outcome has come.
    Replied(Box<Reply>),
    /// No outcome yet; the command may still be applied until its deadline.
    Late,
}

/// Limits of commands.
#[derive(Clone, Copy, Debug)]
pub struct CommandLimits {
    /// How long a request waits for the outcome.
    pub reply: Duration,
    /// How long after it is sent a command may still be applied.
    pub deadline: Duration,
    /// Commands of one client on one UTC day.
    pub per_day: u32,
}

/// Sends commands.
pub struct Commands {
    producer: DeliveringProducer,
    codec: Codec,
    reply_to: ReplyTo,
    limits: CommandLimits,
    quota: DayQuota,
    pending: Arc<Pending>,
    told: Arc<Told>,
    replies_flow: Arc<AtomicBool>,
    metrics: CommandMetrics,
    account_partitions: i32,
    book_partitions: i32,
}

impl Commands {
    /// Sends with this producer; `replies_flow` is true once the replies are being read, into `pending` and
    /// `told`.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is a part of its own, and there is one caller"
    )]
    pub fn new(
        producer: DeliveringProducer,
        codec: Codec,
        reply_to: ReplyTo,
        limits: CommandLimits,
        pending: Arc<Pending>,
        told: Arc<Told>,
        replies_flow: Arc<AtomicBool>,
        metrics: CommandMetrics,
    ) -> Self {
        Self {
            producer,
            codec,
            reply_to,
            quota: DayQuota::new(limits.per_day),
            limits,
            pending,
            told,
            replies_flow,
            metrics,
            account_partitions: catalogue::topic(AccountCommand::TOPIC).partitions,
            book_partitions: catalogue::topic(BookCommand::TOPIC).partitions,
        }
    }

    /// Sends a client's command to settlement and waits for its outcome.
    ///
    /// # Errors
    /// When nothing was sent: 503, or 429 when the account has had its commands of the day.
    pub async fn account(
        &self,
        account_id: AccountId,
        trace: &Trace,
        command: impl FnOnce(CommandMeta) -> AccountCommand,
    ) -> Result<Outcome, Problem> {
        self.count(account_id)?;
        self.account_within(self.limits.reply, account_id, None, trace, command)
            .await
    }

    /// As [`Commands::account`], of an order that a client places under an id of its own: when its outcome is
    /// late, [`Told::decision`] knows of it.
    ///
    /// # Errors
    /// As [`Commands::account`].
    pub async fn order(
        &self,
        account_id: AccountId,
        client_order_id: &str,
        trace: &Trace,
        command: impl FnOnce(CommandMeta) -> AccountCommand,
    ) -> Result<Outcome, Problem> {
        self.count(account_id)?;
        self.account_within(self.limits.reply, account_id, Some(client_order_id), trace, command)
            .await
    }

    fn count(&self, account_id: AccountId) -> Result<(), Problem> {
        self.quota.take(account_id, now_us()).map_err(|wait| {
            Problem::too_many(
                "DAILY_QUOTA",
                "the account has sent all the commands that it may send today (UTC)",
                wait,
            )
        })
    }

    /// What was told of accounts and orders.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// As [`Commands::account`], but waits for as long as an outcome can be expected: settlement also
    /// answers what it finds after its deadline.
    ///
    /// # Errors
    /// 503 when nothing was sent.
    pub async fn account_to_its_end(
        &self,
        account_id: AccountId,
        trace: &Trace,
        command: impl FnOnce(CommandMeta) -> AccountCommand,
    ) -> Result<Outcome, Problem> {
        self.account_within(END_LIMIT, account_id, None, trace, command).await
    }

    async fn account_within(
        &self,
        limit: Duration,
        account_id: AccountId,
        client_order_id: Option<&str>,
        trace: &Trace,
        command: impl FnOnce(CommandMeta) -> AccountCommand,
    ) -> Result<Outcome, Problem> {
        let key = account_key(account_id);
        let partition = partition_of(&key, self.account_partitions);
        let late = |command_id| {
            if let Some(client_order_id) = client_order_id {
                self.told.late(account_id, client_order_id.to_owned(), command_id);
            }
        };
        let outcome = self.send(limit, &key, partition, trace, command, late).await?;
        if let Outcome::Replied(reply) = &outcome {
            self.told.outcome(account_id, reply);
        }
        Ok(outcome)
    }

    /// Sends a command to the matcher and waits for as long as an outcome can be expected.
    ///
    /// # Errors
    /// 503 when nothing was sent.
    pub async fn book_to_its_end(
        &self,
        symbol: Symbol,
        trace: &Trace,
        command: impl FnOnce(CommandMeta) -> BookCommand,
    ) -> Result<Outcome, Problem> {
        let key = symbol_key(symbol);
        let partition = partition_of(&key, self.book_partitions);
        self.send(END_LIMIT, &key, partition, trace, command, |_| {}).await
    }

    async fn send<M: Message>(
        &self,
        limit: Duration,
        key: &[u8],
        partition: i32,
        trace: &Trace,
        command: impl FnOnce(CommandMeta) -> M,
        late: impl FnOnce(CommandId),
    ) -> Result<Outcome, Problem> {
        if !self.replies_flow.load(Ordering::Acquire) {
            return Err(Problem::unavailable(
                "NOT_READY",
                "this instance is not ready to take commands",
            ));
        }
        let command_id = CommandId::from_uuid(uuid::Uuid::new_v4());
        let command = command(CommandMeta {
            command_id,
            reply_to: Some(self.reply_to.clone()),
            deadline_us: now_us() + self.limits.deadline.as_micros() as i64,
        });
        let mut value = Vec::with_capacity(256);
        self.codec.encode(&command, &mut value).map_err(Problem::internal)?;
        let mut waiting = self
            .pending
            .register(command_id)
            .ok_or_else(|| Problem::unavailable("OVERLOADED", "too many commands wait for their outcome"))?;
        let record = Outbound {
            topic: M::TOPIC,
            partition: Some(partition),
            key,
            value: &value,
            headers: trace_headers(trace),
        };
        let sent = Instant::now();
        let delivery = self.producer.send(record).map_err(|error| match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => {
                Problem::unavailable("OVERLOADED", "the queue to the log is full")
            }
            error => Problem::internal(error),
        })?;
        self.metrics.sent.inc();
        let outcome = tokio::time::timeout(limit, async {
            tokio::select! {
                biased;
                reply = waiting.reply() => return reply,
                // A delivery that failed is only counted: its outcome is unknown, so the request waits on.
                delivered = delivery.delivered() => if delivered.is_err() {
                    self.metrics.undelivered.inc();
                    tracing::error!(%command_id, "a command was not delivered");
                },
            }
            waiting.reply().await
        })
        .await;
        self.metrics.reply_seconds.observe(sent.elapsed().as_secs_f64());
        match outcome {
            Ok(Some(reply)) => Ok(Outcome::Replied(reply)),
            Ok(None) | Err(_) => {
                late(command_id);
                // It may have come while that was written down.
                if let Some(reply) = waiting.leave() {
                    self.told.came_late(&reply);
                    return Ok(Outcome::Replied(reply));
                }
                self.metrics.late.inc();
                Ok(Outcome::Late)
            }
        }
    }

    /// Messages in the producer's queue.
    pub fn queued(&self) -> i64 {
        i64::from(self.producer.in_flight())
    }

    /// Commands that wait for their outcome.
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }
}
