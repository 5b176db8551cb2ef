//! Carries pending deposits and withdrawals to the payment provider, and its answers back.
//!
//! ```text
//! account-events --(group brokerx-payments)--> PAYMENT_PENDING --> provider (HTTP, idempotent by payment id)
//!                                                                     |
//! account-commands <-- PaymentResult {SETTLED | FAILED} <-------------+
//! ```
//!
//! **What is known and what is not.** `FAILED` is written only when the provider says so. No answer,
//! a broken answer or `pending` decide nothing: the payment stays pending and is asked for again,
//! with a back-off, for as long as it takes. Asking again is safe because the provider knows the
//! payment by its id.
//!
//! A provider that does not know us (401, 403) has decided nothing either: payments wait, with a longer back-off,
//! until our credential is right, and the process says that it is not ready.
//!
//! **Nothing is lost, nothing is done twice.** An offset is committed when every payment up to it
//! has its result acknowledged by the broker ([`offsets`]). After a crash, or when partitions move
//! to another instance, payments are asked for again and results are written again; the account
//! machine takes the first result of a payment, and the provider takes the id.
//!
//! **A record that nobody wrote.** One that settlement's fold did not write, or whose bytes are no event and that does
//! not say that a worker wrote it, asks for no payment: it is counted (`brokerx_payments_left_out`), logged and left
//! out. A worker's that cannot be read may have asked for one, so the stage waits in front of it.
//!
//! **Bounds.** A limited number of requests at a time, and a limited number of undecided payments:
//! at that number reading pauses.
//!
//! **Alarm.** When an account's event says settled where the provider said failed, or the other way
//! round, no money moves here; `brokerx_payments_contradictions` counts it for an operator.

mod admission;
mod desk;
mod metrics;
mod offsets;
mod options;
mod provider_client;
mod results;
mod stuck;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokerx_schemas::{AccountEvent, Message as _};
use brokerx_topics::codec::{Codec, DecodeError};
use brokerx_topics::headers::{claimed_source, identity_of, trace_of};
use brokerx_topics::machine::is_of_its_topic;
use brokerx_topics::passes::{Passes, Word, hint, undecided};
use brokerx_topics::service::{self, Check, Drained, Health, Metrics, PlatformOptions, ServiceOptions, Shutdown};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};

pub use options::PaymentsOptions;

use desk::Desk;
use metrics::PaymentsMetrics;
use offsets::Offsets;
use provider_client::{ProviderClient, Unusable};
use results::ResultWriter;
use stuck::Stuck;

/// The consumer group.
const GROUP: &str = "brokerx-payments";
/// How long the broker may gather events. Few are of payments, and a bank takes longer than this. It
/// is no shorter because the broker answers so often when nothing happens at all.
const GATHER: Duration = Duration::from_millis(200);
/// How often finished offsets are committed.
const COMMIT_INTERVAL: Duration = Duration::from_millis(500);
/// What the check says of a stage that works.
const IN_GROUP: &str = "in its group";
/// How long a stop waits for requests that are under way.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Why the stage cannot be started, or a pass of it ended; the latter is begun again.
#[derive(Debug, thiserror::Error)]
pub enum PaymentsError {
    /// The broker, or the group.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// The HTTP client cannot be made.
    #[error("the payment provider cannot be asked: {0}")]
    Provider(#[from] Unusable),
    /// A record that cannot be understood; an operator or another build must help.
    #[error("account-events-{partition} offset {offset}: {reason}")]
    Record {
        /// The partition.
        partition: i32,
        /// The record.
        offset: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// It is not known which records everybody passes.
    #[error("{0}")]
    Passes(String),
}

/// Offsets are shared with the rebalance callback, which runs inside of a poll.
#[derive(Clone, Default)]
struct SharedOffsets(Arc<Mutex<Offsets>>);

impl SharedOffsets {
    fn lock(&self) -> MutexGuard<'_, Offsets> {
        // A poisoned lock is sound: every change of the offsets is one call that cannot panic
        // half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commits what is finished of partitions that go away, and forgets the rest of them.
struct GroupContext {
    offsets: SharedOffsets,
    check: Check,
    stuck: Stuck,
    /// Set when partitions come. One that was paused when it went comes back paused.
    has_more: AtomicBool,
}

impl ClientContext for GroupContext {}

impl ConsumerContext for GroupContext {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(revoked) = rebalance else { return };
        let partitions: Vec<_> = revoked.elements().iter().map(|element| element.partition()).collect();
        let mut offsets = self.offsets.lock();
        let finished: Vec<_> = offsets
            .to_commit()
            .into_iter()
            .filter(|(partition, _)| partitions.contains(partition))
            .collect();
        for partition in &partitions {
            offsets.forget(*partition);
        }
        drop(offsets);
        if let Err(error) = commit(consumer, &finished, CommitMode::Sync) {
            // The next owner asks about a few payments once more.
            tracing::warn!(%error, "offsets of revoked partitions were not committed");
        }
    }

    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(assigned) = rebalance {
            let partitions: Vec<_> = assigned.elements().iter().map(|element| element.partition()).collect();
            if !self.stuck.remains(&partitions) {
                self.check.set(true, IN_GROUP);
            }
            self.has_more.store(true, Ordering::Release);
        }
    }
}

fn commit<C: ConsumerContext>(
    consumer: &impl Consumer<C>,
    offsets: &[(i32, i64)],
    mode: CommitMode,
) -> KafkaResult<()> {
    if offsets.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(AccountEvent::TOPIC, *partition, Offset::Offset(*offset))?;
    }
    consumer.commit(&list, mode)
}

/// The payments stage, ready to run.
pub struct Payments {
    platform: PlatformOptions,
    instance: String,
    codec: Codec,
    passes: Passes,
    provider: ProviderClient,
    open_max: usize,
    metrics: PaymentsMetrics,
    check: Check,
    stuck: Stuck,
    /// Whether results are acknowledged by the broker.
    results: Check,
}

impl Payments {
    /// The stage; its metrics and its readiness are registered. It is ready when it is in its group,
    /// the broker acknowledges its results, and the provider does not refuse its credential.
    ///
    /// # Errors
    /// When the provider's address, or our token, cannot be used.
    pub fn new(
        platform: &PlatformOptions,
        service: &ServiceOptions,
        options: &PaymentsOptions,
        codec: Codec,
        metrics: &mut Metrics,
        health: &Health,
    ) -> Result<Self, PaymentsError> {
        let metrics = PaymentsMetrics::register(metrics);
        Ok(Self {
            platform: platform.clone(),
            instance: service.instance.clone(),
            passes: Passes::new(platform.clone(), codec.clone()),
            codec,
            provider: ProviderClient::new(options, metrics.clone(), health.add("payment-provider"))?,
            open_max: options.payments_open_max.max(1),
            metrics,
            check: health.add("payments"),
            stuck: Stuck::default(),
            results: health.add("payment-results"),
        })
    }

    /// Works until the shutdown is requested, whatever happens meanwhile.
    pub async fn run(self, shutdown: Shutdown) {
        let mut backoff = service::backoff();
        while !shutdown.is_requested() {
            match self.pass(&shutdown).await {
                Ok(()) => break,
                Err(error) => {
                    self.metrics.errors.inc();
                    self.check.set(false, &error.to_string());
                    tracing::error!(%error, "the payments stage starts over");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                () = shutdown.requested() => {}
            }
        }
    }

    /// From joining the group to the first error, or to the stop.
    async fn pass(&self, shutdown: &Shutdown) -> Result<(), PaymentsError> {
        self.reload_passes().await?;
        let offsets = SharedOffsets::default();
        let mut config = service::kafka::gathering(service::kafka::consumer_config(&self.platform, GROUP), GATHER);
        config.set("client.id", format!("{GROUP}-{}", self.instance));
        let context = GroupContext {
            offsets: offsets.clone(),
            check: self.check.clone(),
            stuck: self.stuck.clone(),
            has_more: AtomicBool::new(false),
        };
        let consumer: Drained<StreamConsumer<GroupContext>> = config.create_with_context(context)?;
        consumer.subscribe(&[AccountEvent::TOPIC])?;
        let writer = ResultWriter::new(&self.platform, self.codec.clone())?;
        let mut desk = Desk::new(self.provider.clone(), writer.clone(), self.metrics.clone());
        let mut commit_interval = tokio::time::interval(COMMIT_INTERVAL);
        let mut paused = false;
        loop {
            tokio::select! {
                () = shutdown.requested() => break,
                received = consumer.recv() => match received {
                    Ok(record) => {
                        self.take(&record, &mut desk, &offsets).await.inspect_err(|error| {
                            if let PaymentsError::Record { partition, offset, .. } = error {
                                self.stuck.at(*partition, *offset);
                            }
                        })?;
                        if self.stuck.taken(record.partition(), record.offset()) {
                            self.check.set(true, IN_GROUP);
                        }
                    }
                    Err(error) if is_final(&error) => return Err(error.into()),
                    Err(error) => tracing::warn!(%error, "the broker is away; waiting for it"),
                },
                (partition, offset) = desk.finished() => offsets.lock().finish(partition, offset),
                _ = commit_interval.tick() => {
                    self.commit_finished(&consumer, &offsets, CommitMode::Async);
                    let trouble = writer.trouble();
                    self.results.set(trouble.is_none(), trouble.as_deref().unwrap_or("acknowledged"));
                }
            }
            // Done again after each record: a rebalance brings partitions that are not paused, or are from before.
            let full = desk.open() >= self.open_max;
            let has_more = consumer.context().has_more.swap(false, Ordering::AcqRel);
            if full || paused || has_more {
                let assignment = consumer.assignment()?;
                match full {
                    true => consumer.pause(&assignment)?,
                    false => consumer.resume(&assignment)?,
                }
                paused = full;
            }
        }
        let stopped = tokio::time::timeout(STOP_LIMIT, async {
            while desk.open() > 0 {
                let (partition, offset) = desk.finished().await;
                offsets.lock().finish(partition, offset);
            }
        });
        if stopped.await.is_err() {
            tracing::info!(
                open = desk.open(),
                "stopping; undecided payments are asked for again by the next owner"
            );
        }
        self.commit_finished(&consumer, &offsets, CommitMode::Sync);
        Ok(())
    }

    async fn reload_passes(&self) -> Result<(), PaymentsError> {
        let reloaded = self.passes.reload().await;
        reloaded.map_err(|error| PaymentsError::Passes(format!("{error:#}")))
    }

    async fn take(
        &self,
        record: &BorrowedMessage<'_>,
        desk: &mut Desk,
        offsets: &SharedOffsets,
    ) -> Result<(), PaymentsError> {
        let (partition, offset) = (record.partition(), record.offset());
        let unusable = |reason: String| PaymentsError::Record {
            partition,
            offset,
            reason,
        };
        let is_passed = || match self.passes.word(AccountEvent::TOPIC, partition, offset) {
            Word::Use => Ok(false),
            Word::Passed(_) => Ok(true),
            Word::Undecided { decision, schema_id } => Err(unusable(undecided(decision, schema_id))),
        };
        let pass = || {
            let mut offsets = offsets.lock();
            offsets.begin(partition, offset);
            offsets.finish(partition, offset);
        };
        if is_passed()? {
            pass();
            return Ok(());
        }
        // It asks for no payment, and nobody waits for a schema that a stranger names.
        if !is_of_its_topic::<AccountEvent>(claimed_source(record.headers())) {
            tracing::error!(partition, offset, "a record that settlement did not write is left out");
            self.metrics.left_out.inc();
            pass();
            return Ok(());
        }
        let decoded = match (identity_of(record.headers()), record.payload()) {
            (Err(error), _) => Err(DecodeError::Malformed(error.to_string())),
            (Ok(_), Some(value)) => self.codec.decode_resolving(value).await,
            (Ok(_), None) => Err(DecodeError::Malformed("it has no value".to_owned())),
        };
        let event: AccountEvent = match decoded {
            Ok(event) => event,
            Err(error) => {
                self.reload_passes().await?;
                if is_passed()? {
                    pass();
                    return Ok(());
                }
                return Err(unusable(format!(
                    "{error}; {}",
                    hint(AccountEvent::TOPIC, partition, offset)
                )));
            }
        };
        offsets.lock().begin(partition, offset);
        // A rebalance while a schema was resolved makes this record come again; asking twice is safe.
        let undecided = desk.take(event, trace_of(record.headers()), (partition, offset));
        if !undecided {
            offsets.lock().finish(partition, offset);
        }
        Ok(())
    }

    fn commit_finished(&self, consumer: &StreamConsumer<GroupContext>, offsets: &SharedOffsets, mode: CommitMode) {
        let finished = offsets.lock().to_commit();
        match commit(consumer, &finished, mode) {
            Ok(()) => offsets.lock().committed(&finished),
            Err(error) => tracing::warn!(%error, "offsets were not committed; they will be with the next ones"),
        }
    }
}

fn is_final(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{Fatal, UnknownTopicOrPartition};
    let code = error.rdkafka_error_code();
    service::kafka::is_refusal(error) || matches!(code, Some(UnknownTopicOrPartition | Fatal))
}
