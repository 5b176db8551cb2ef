//! Commands into Kafka, and their outcomes back to the request that waits.
//!
//! A command goes to the partition of its account or symbol with this instance's reply address and
//! a deadline. [`Commands::account`] returns the outcome, or [`Outcome::Late`]
//! when it takes longer than the limit: the command may still be applied, until its deadline. Those that
//! go on after their request has been answered ([`Commands::account_to_its_end`]) wait longer, and then look out
//! for what comes later still. All fail
//! only when nothing was handed to the producer, so after every problem that they return the same
//! request may be sent again, and it does not count for the day.

mod bounded;
mod gate;
mod pending;
mod quota;
mod replies;
mod sent;
mod shared;
mod told;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use brokerx_schemas::{AccountCommand, AccountId, BookCommand, CommandId, CommandMeta, Message, ReplyTo, Symbol};
use brokerx_topics::codec::Codec;
use brokerx_topics::headers::{Trace, trace_headers};
use brokerx_topics::partition::{account_key, symbol_key};
use brokerx_topics::service::clock::now_us;
use brokerx_topics::service::{DeliveringProducer, Delivery, Outbound};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::http::Problem;
use crate::telemetry::CommandMetrics;

use gate::Gate;
pub use pending::{Later, Pending};
use quota::{DayQuota, Share};
pub use replies::ReplySink;
use sent::Sent;
pub use sent::{End, Outcome};
pub use told::{Decision, Told};

/// How long an outcome is waited for when no request waits: far longer than a command's deadline, and
/// than a worker needs that takes over from one that died.
const END_LIMIT: Duration = Duration::from_secs(60);

/// Limits of commands.
#[derive(Clone, Copy, Debug)]
pub struct CommandLimits {
    /// How long a request waits for the outcome.
    pub reply: Duration,
    /// How long after it is sent a command may still be applied.
    pub deadline: Duration,
    /// Commands of one client on one UTC day; cancels are counted apart.
    pub per_day: u32,
}

/// Who sends a command.
#[derive(Clone, Copy, Debug)]
enum Sender {
    /// One of many clients, by the account, who share the places in which outcomes are waited for.
    Client(AccountId),
    /// One of few operators, whose commands in flight are bounded already: no number of clients keeps one from
    /// the kill switch.
    Operator,
}

/// Sends commands.
pub struct Commands {
    gate: Gate,
    producer: DeliveringProducer,
    codec: Codec,
    reply_to: ReplyTo,
    limits: CommandLimits,
    end_limit: Duration,
    quota: DayQuota,
    pending: Arc<Pending>,
    told: Arc<Told>,
    replies_flow: Arc<AtomicBool>,
    metrics: CommandMetrics,
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
            gate: Gate::new(),
            producer,
            codec,
            reply_to,
            quota: DayQuota::new(limits.per_day),
            limits,
            end_limit: END_LIMIT,
            pending,
            told,
            replies_flow,
            metrics,
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
        self.counted(Share::Commands, account_id, None, trace, command).await
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
        let id = Some(client_order_id.to_owned());
        self.counted(Share::Commands, account_id, id, trace, command).await
    }

    /// As [`Commands::account`], of a command that ends one order or all: whoever has had the commands of the
    /// day can still send it.
    ///
    /// # Errors
    /// When nothing was sent: 503, or 429 when the account sends far more cancels than orders.
    pub async fn cancel(
        &self,
        account_id: AccountId,
        trace: &Trace,
        command: impl FnOnce(CommandMeta) -> AccountCommand,
    ) -> Result<Outcome, Problem> {
        self.counted(Share::Cancels, account_id, None, trace, command).await
    }

    async fn counted(
        &self,
        share: Share,
        account_id: AccountId,
        client_order_id: Option<String>,
        trace: &Trace,
        command: impl FnOnce(CommandMeta) -> AccountCommand,
    ) -> Result<Outcome, Problem> {
        self.gate.pass().await;
        self.quota.take(account_id, share, now_us()).map_err(|wait| {
            let detail = match share {
                Share::Commands => {
                    "the account has sent all the orders, changes and payments that it may send today (UTC); \
                     cancels are still taken"
                }
                Share::Cancels => {
                    "the account has sent all the cancels that it may send today (UTC); one a second is still taken, \
                     and one is enough to cancel all orders"
                }
            };
            Problem::too_many("DAILY_QUOTA", detail, wait)
        })?;
        let (sent, delivery) = self
            .send_to_account(account_id, client_order_id, Sender::Client(account_id), trace, command)
            .inspect_err(|_| self.quota.give_back(account_id, share, now_us()))?;
        Ok(sent.outcome(delivery, self.limits.reply).await)
    }

    /// What was told of accounts and orders.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// As [`Commands::account`], but waits for as long as an outcome can be expected: settlement also
    /// answers what it finds after its deadline. It is of an operator, so it does not count as the account's.
    ///
    /// # Errors
    /// 503 when nothing was sent.
    pub async fn account_to_its_end(
        &self,
        account_id: AccountId,
        trace: &Trace,
        command: impl FnOnce(CommandMeta) -> AccountCommand,
    ) -> Result<End, Problem> {
        self.gate.pass().await;
        let (sent, delivery) = self.send_to_account(account_id, None, Sender::Operator, trace, command)?;
        Ok(sent.end(delivery, self.end_limit).await)
    }

    fn send_to_account(
        &self,
        account_id: AccountId,
        client_order_id: Option<String>,
        sender: Sender,
        trace: &Trace,
        command: impl FnOnce(CommandMeta) -> AccountCommand,
    ) -> Result<(Sent, Delivery), Problem> {
        let key = account_key(account_id);
        let of = Some((account_id, client_order_id));
        self.send(&key, of, sender, trace, command)
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
    ) -> Result<End, Problem> {
        let key = symbol_key(symbol);
        self.gate.pass().await;
        let (sent, delivery) = self.send(&key, None, Sender::Operator, trace, command)?;
        Ok(sent.end(delivery, self.end_limit).await)
    }

    /// Hands a command to the producer.
    ///
    /// # Errors
    /// When it did not take it.
    fn send<M: Message>(
        &self,
        key: &[u8],
        of: Option<(AccountId, Option<String>)>,
        sender: Sender,
        trace: &Trace,
        command: impl FnOnce(CommandMeta) -> M,
    ) -> Result<(Sent, Delivery), Problem> {
        let not_ready = || {
            Problem::unavailable(
                "NOT_READY",
                "this instance is not ready to take commands yet; nothing was sent, try again in a moment",
            )
        };
        if !self.replies_flow.load(Ordering::Acquire) {
            return Err(not_ready());
        }
        let command_id = CommandId::from_uuid(uuid::Uuid::new_v4());
        let command = command(CommandMeta {
            command_id,
            reply_to: Some(self.reply_to.clone()),
            deadline_us: now_us() + self.limits.deadline.as_micros() as i64,
        });
        let mut value = Vec::with_capacity(256);
        self.codec.encode(&command, &mut value).map_err(Problem::internal)?;
        let waiting = match sender {
            Sender::Client(account_id) => self.pending.register(command_id, account_id).ok_or_else(|| {
                Problem::unavailable(
                    "OVERLOADED",
                    "too many requests wait for what became of their commands; nothing was sent, try again in a moment",
                )
            })?,
            Sender::Operator => self.pending.register_beyond(command_id),
        };
        let record = Outbound {
            topic: M::TOPIC,
            partition: None,
            key,
            value: &value,
            headers: trace_headers(trace),
        };
        let sent = Instant::now();
        let delivery = self.producer.send(record).map_err(|error| match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => Problem::unavailable(
                "OVERLOADED",
                "too many commands wait to be written to the log; nothing was sent, try again in a moment",
            ),
            // It has failed, and another one is made within a second.
            KafkaError::MessageProduction(RDKafkaErrorCode::Fatal) => not_ready(),
            error => Problem::internal(error),
        })?;
        self.metrics.sent.inc();
        let sent = Sent {
            command_id,
            waiting: Some(waiting),
            of,
            sent,
            told: Arc::clone(&self.told),
            metrics: self.metrics.clone(),
        };
        Ok((sent, delivery))
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
