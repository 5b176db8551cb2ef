//! Reads the logs by `assign()` on a thread of its own and hands over batches.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use brokerx_topics::codec::Codec;
use brokerx_topics::passes::{Passes, Word, hint, undecided};
use brokerx_topics::runner::{Between, Surveyor};
use brokerx_topics::service::{self, Check, ClockWatch, GatheringConsumer, HeldUpLogs, PlatformOptions};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::statistics::Statistics;
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::batch::{Batch, Log, LogPartition};
use super::error::ProjectorError;
use super::intake::{Refused, Stop, Taken, pass_over, take};
use super::metrics::ProjectorMetrics;
use super::options::BatchLimits;
use super::positions::Progress;

/// Longest wait for an answer of the broker about topics.
const METADATA_LIMIT: Duration = Duration::from_secs(10);
/// While much comes, a read after a write waits for this at most, and only when it asks for that write.
const GATHER: Duration = Duration::from_millis(50);
/// How long one poll may wait; the reader notices a stop after it.
const POLL_LIMIT: Duration = Duration::from_millis(500);
/// A record that was waited for so long was appended a moment ago, and is no backlog.
const WAITED: Duration = Duration::from_millis(100);
/// How long records of which nothing but the position is written wait for others: there is one for
/// each change of a book, and a heartbeat each second.
const POSITIONS_LINGER: Duration = Duration::from_secs(2);

pub(super) type BatchReceiver = mpsc::Receiver<Result<Batch, ProjectorError>>;

/// Takes the ends of the partitions out of librdkafka's statistics.
#[derive(Clone)]
struct LagContext {
    metrics: ProjectorMetrics,
}

impl ClientContext for LagContext {
    fn stats(&self, statistics: Statistics) {
        for (topic, statistics) in &statistics.topics {
            let Some(log) = Log::of_topic(topic) else { continue };
            for (partition, statistics) in &statistics.partitions {
                if statistics.hi_offset >= 0 {
                    self.metrics.log_ends_at((log, *partition), statistics.hi_offset);
                }
            }
        }
    }
}

impl ConsumerContext for LagContext {}

/// Reads from a given place in every partition.
struct Reader {
    codec: Codec,
    passes: Passes,
    surveyor: Surveyor,
    /// Up to where a partition was looked at behind its last record.
    looked_to: BTreeMap<LogPartition, i64>,
    limits: BatchLimits,
    progress: BTreeMap<LogPartition, Progress>,
    stopped: BTreeSet<LogPartition>,
    /// Partitions with a hole that is open.
    holes: BTreeSet<LogPartition>,
    batch: Batch,
    /// When the batch is handed over, however few records it has.
    due: Instant,
    sender: mpsc::Sender<Result<Batch, ProjectorError>>,
    runtime: Handle,
    metrics: ProjectorMetrics,
    check: Check,
    held_up: HeldUpLogs,
    clock: ClockWatch,
}

type LogConsumer = GatheringConsumer<LagContext>;

fn settings(platform: &PlatformOptions) -> ClientConfig {
    let mut config = service::kafka::consumer_config(platform, "brokerx-projector");
    // Every position is given; one that the log no longer has is an error, never a jump.
    config.set("auto.offset.reset", "error");
    config
}

fn consumer(platform: &PlatformOptions, metrics: &ProjectorMetrics) -> Result<LogConsumer, KafkaError> {
    let mut config = settings(platform);
    config.set("statistics.interval.ms", "2000");
    let metrics = metrics.clone();
    GatheringConsumer::new(config, Some(GATHER), LagContext { metrics })
}

/// The partitions of all logs: where each begins and the offset after its last record. Blocks.
///
/// # Errors
/// When the broker does not answer or a topic is missing.
pub(super) fn log_ranges(
    platform: &PlatformOptions,
    metrics: &ProjectorMetrics,
) -> Result<BTreeMap<LogPartition, Range<i64>>, ProjectorError> {
    let consumer = consumer(platform, metrics)?;
    let mut ranges = BTreeMap::new();
    for (partition, begin) in begins(consumer.client())? {
        let (log, number) = partition;
        let (_, end) = consumer
            .client()
            .fetch_watermarks(log.topic(), number, METADATA_LIMIT)?;
        ranges.insert(partition, begin..end);
    }
    Ok(ranges)
}

/// Where each partition begins. A log that keeps everything begins at 0: when it does not, records
/// are missing, and reading fails.
fn begins(consumer: &BaseConsumer<LagContext>) -> Result<BTreeMap<LogPartition, i64>, ProjectorError> {
    let mut begins = BTreeMap::new();
    for log in Log::ALL {
        let metadata = consumer.fetch_metadata(Some(log.topic()), METADATA_LIMIT)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == log.topic());
        let numbers: Vec<_> = topic
            .into_iter()
            .flat_map(|topic| topic.partitions())
            .map(|partition| partition.id())
            .collect();
        if numbers.is_empty() {
            return Err(ProjectorError::NoTopic(log.topic()));
        }
        for number in numbers {
            let begin = match log.forgets() {
                true => consumer.fetch_watermarks(log.topic(), number, METADATA_LIMIT)?.0,
                false => 0,
            };
            begins.insert((log, number), begin);
        }
    }
    Ok(begins)
}

/// Everything that a reader is made of, besides where it begins.
pub(super) struct ReaderParts {
    pub(super) platform: PlatformOptions,
    pub(super) codec: Codec,
    pub(super) limits: BatchLimits,
    pub(super) metrics: ProjectorMetrics,
    pub(super) check: Check,
    pub(super) clock: ClockWatch,
}

/// A consumer that knows its partitions, before it has positions.
pub(super) struct UnplacedReader {
    parts: ReaderParts,
    consumer: LogConsumer,
    /// Where each partition begins.
    pub(super) begins: BTreeMap<LogPartition, i64>,
}

impl UnplacedReader {
    /// Asks the broker for the partitions. Blocks.
    pub(super) fn connect(parts: ReaderParts) -> Result<Self, ProjectorError> {
        let consumer = consumer(&parts.platform, &parts.metrics)?;
        let begins = begins(consumer.client())?;
        Ok(Self {
            parts,
            consumer,
            begins,
        })
    }

    /// Starts the thread. It ends when the receiver is dropped, or after it has sent an error.
    pub(super) fn start(mut self, progress: BTreeMap<LogPartition, Progress>) -> Result<BatchReceiver, ProjectorError> {
        let mut places = TopicPartitionList::new();
        for ((log, partition), progress) in &progress {
            places.add_partition_offset(log.topic(), *partition, Offset::Offset(progress.position))?;
            self.parts.metrics.moved_to((*log, *partition), progress.position);
        }
        self.consumer.assign(places)?;
        // One batch is written, one waits, one is filled: memory is bounded while the database is away.
        let (sender, receiver) = mpsc::channel(1);
        let consumer = self.consumer;
        let surveyor = Surveyor::new(settings(&self.parts.platform));
        let passes = Passes::new(self.parts.platform, self.parts.codec.clone());
        let reader = Reader {
            passes,
            surveyor,
            looked_to: BTreeMap::new(),
            codec: self.parts.codec,
            limits: self.parts.limits,
            progress,
            stopped: BTreeSet::new(),
            holes: BTreeSet::new(),
            batch: Batch::default(),
            due: Instant::now(),
            sender,
            runtime: Handle::current(),
            metrics: self.parts.metrics,
            check: self.parts.check,
            held_up: HeldUpLogs::default(),
            clock: self.parts.clock,
        };
        reader.metrics.stopped_partitions.set(0);
        reader.metrics.open_holes.set(0);
        reader.metrics.blocked.set(0);
        reader.metrics.held_up.set(0);
        std::thread::Builder::new()
            .name("projector-reader".to_owned())
            .spawn(move || reader.run(consumer))
            .map_err(ProjectorError::Thread)?;
        Ok(receiver)
    }
}

impl Reader {
    fn run(mut self, mut consumer: LogConsumer) {
        let mut backoff = service::backoff();
        // What was passed before reading begins is passed by everybody.
        while let Err(error) = self.passes.refresh(consumer.client().client()) {
            tracing::warn!(error = format!("{error:#}"), "what is passed is not known yet");
            if self.sender.is_closed() {
                return;
            }
            std::thread::sleep(backoff.next());
        }
        if let Err(error) = self.read(&mut consumer) {
            // Nobody listens any more when the session ended meanwhile.
            let _ = self.sender.blocking_send(Err(error));
        }
    }

    fn read(&mut self, consumer: &mut LogConsumer) -> Result<(), ProjectorError> {
        // Since there has been nothing to read, over however many polls: a heartbeat comes each second, and may come
        // just after a poll has begun, each time.
        let mut idle_since = Instant::now();
        while !self.sender.is_closed() {
            self.tell_whether_held_up(consumer)?;
            let wait = match self.batch.is_empty() {
                true => POLL_LIMIT,
                false => self.due.saturating_duration_since(Instant::now()).min(POLL_LIMIT),
            };
            match consumer.poll(wait) {
                Some(Ok(record)) => {
                    if idle_since.elapsed() >= WAITED
                        && let Some(appended_ms) = record.timestamp().to_millis()
                    {
                        self.clock.read(appended_ms);
                    }
                    let before = (self.batch.is_empty(), self.batch.has_rows());
                    let stopped = self.take(&record);
                    drop(record);
                    self.set_due(before);
                    if let Some((log, partition)) = stopped {
                        consumer.leave(log.topic(), partition)?;
                    }
                    idle_since = Instant::now();
                }
                Some(Err(error)) if is_final(&error) => return Err(error.into()),
                Some(Err(error)) => {
                    tracing::warn!(%error, "the broker is away; waiting for it");
                    // What comes behind that may have been appended meanwhile.
                    idle_since = Instant::now();
                }
                None => self.pass_over_ends(consumer)?,
            }
            let full = self.batch.records >= self.limits.records_max || self.batch.bytes >= self.limits.bytes_max;
            if full || (!self.batch.is_empty() && Instant::now() >= self.due) {
                let batch = std::mem::take(&mut self.batch);
                if self.sender.blocking_send(Ok(batch)).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Nothing is projected of a log that goes on and gives nothing out: then the process is not ready.
    fn tell_whether_held_up(&mut self, consumer: &LogConsumer) -> Result<(), KafkaError> {
        if self.held_up.look(consumer, Instant::now())? {
            self.metrics.held_up.set(self.held_up.count() as i64);
            tell(&self.check, &self.held_up, &self.stopped);
        }
        Ok(())
    }

    /// Takes a record in; the partition that cannot go on behind it, if one cannot.
    fn take(&mut self, record: &BorrowedMessage<'_>) -> Option<LogPartition> {
        let log = Log::of_topic(record.topic())?;
        let partition = (log, record.partition());
        if self.stopped.contains(&partition) {
            return None;
        }
        let mut backoff = service::backoff();
        loop {
            let progress = self.progress.get_mut(&partition)?;
            let taken = take(&self.codec, &self.passes, partition, progress, record, &mut self.batch);
            let waits = matches!(taken, Err(Refused::UnknownSchema(_) | Refused::Gap { .. }));
            let waited = !waits && self.metrics.blocked.set(0) == 1;
            if waited {
                tell(&self.check, &self.held_up, &self.stopped);
            }
            match taken {
                Ok(Taken::Yes) => {
                    self.hole_closed(partition);
                    return None;
                }
                Ok(Taken::Duplicate) => {
                    self.metrics.duplicates(log.topic(), 1);
                    return None;
                }
                Ok(Taken::Hole { expected }) => {
                    self.hole(partition, record.offset(), expected);
                    return None;
                }
                Ok(Taken::LeftOut(why)) => {
                    let (topic, partition) = (record.topic(), record.partition());
                    tracing::error!(topic, partition, %why, "a record that no worker wrote is left out");
                    self.metrics.left_out(log.topic());
                    return None;
                }
                Err(Refused::Stop(stop)) => {
                    self.stop(partition, &stop);
                    return Some(partition);
                }
                Err(Refused::Gap { expected, got }) => {
                    match self.surveyor.survey(log.topic(), partition.1, (expected, got), || {}) {
                        Between::NoRecord => pass_over(progress, &mut self.batch, partition, got),
                        Between::Missing(_) => {
                            self.stop(partition, &Stop::OffsetGap { expected, got });
                            return Some(partition);
                        }
                        Between::Unanswered(reason) => {
                            let why = format!("{}-{} offset {expected}: {reason}", log.topic(), partition.1);
                            tracing::warn!(why, "what stands between two records is not known yet");
                            self.metrics.blocked.set(1);
                            self.check.set(false, &why);
                            std::thread::sleep(backoff.next());
                        }
                    }
                    if self.sender.is_closed() {
                        return None;
                    }
                }
                Err(Refused::UnknownSchema(id)) => {
                    // Never skipped: nothing of this process is projected until the registry answers.
                    let place = (record.topic(), record.partition(), record.offset());
                    if let Err(error) = self.runtime.block_on(resolve(&self.codec, &self.passes, id, place)) {
                        let why = format!("{}-{} offset {}: {error:#}", place.0, place.1, place.2);
                        tracing::error!(why, schema_id = id, "a schema cannot be resolved; waiting for it");
                        self.metrics.blocked.set(1);
                        self.check.set(false, &why);
                        std::thread::sleep(backoff.next());
                    }
                    if self.sender.is_closed() {
                        return None;
                    }
                }
            }
        }
    }

    /// Brings partitions whose log ends with markers of transactions behind these, so that they are where the log
    /// ends. What is lost there is noticed with the next record. The markers may have come to a client before the one of
    /// now, which has read nothing of the partition then.
    fn pass_over_ends(&mut self, consumer: &LogConsumer) -> Result<(), KafkaError> {
        let was_empty = self.batch.is_empty();
        for place in consumer.reached()?.elements() {
            let (Some(log), Offset::Offset(reached)) = (Log::of_topic(place.topic()), place.offset()) else {
                continue;
            };
            let partition = (log, place.partition());
            let Some(progress) = self.progress.get_mut(&partition) else {
                continue;
            };
            let is_known = self.looked_to.get(&partition) == Some(&reached);
            if reached <= progress.position || is_known || self.stopped.contains(&partition) {
                continue;
            }
            let range = (progress.position, reached);
            let between = self.surveyor.survey(log.topic(), partition.1, range, || {});
            if between == Between::NoRecord {
                pass_over(progress, &mut self.batch, partition, reached);
            }
            if !matches!(between, Between::Unanswered(_)) {
                self.looked_to.insert(partition, reached);
            }
        }
        self.set_due((was_empty, self.batch.has_rows()));
        Ok(())
    }

    /// Says when the batch is handed over, after a record: soon after its first row.
    fn set_due(&mut self, (was_empty, had_rows): (bool, bool)) {
        if self.batch.has_rows() && !had_rows {
            self.due = Instant::now() + self.limits.linger;
        } else if was_empty && !self.batch.is_empty() && !self.batch.has_rows() {
            self.due = Instant::now() + POSITIONS_LINGER;
        }
    }

    /// Told once per hole: everything behind it is dropped until its writer starts over.
    fn hole(&mut self, partition: LogPartition, offset: i64, expected: u64) {
        let (log, number) = partition;
        self.metrics.hole(log.topic());
        if self.holes.insert(partition) {
            self.metrics.open_holes.set(self.holes.len() as i64);
            tracing::error!(
                topic = log.topic(),
                partition = number,
                offset,
                expected,
                "numbers are missing before a record; its writer must start over from there"
            );
        }
    }

    fn hole_closed(&mut self, partition: LogPartition) {
        if self.holes.remove(&partition) {
            self.metrics.open_holes.set(self.holes.len() as i64);
            tracing::info!(topic = partition.0.topic(), partition = partition.1, "a hole is closed");
        }
    }

    /// Leaves a partition where it is, loudly; the others go on.
    fn stop(&mut self, partition: LogPartition, stop: &Stop) {
        let (log, number) = partition;
        tracing::error!(topic = log.topic(), partition = number, reason = %stop, "the projection of a partition stops");
        self.stopped.insert(partition);
        self.metrics.stopped_partitions.set(self.stopped.len() as i64);
    }
}

/// Says how the projection stands while it does not wait in front of a record.
fn tell(check: &Check, held_up: &HeldUpLogs, stopped: &BTreeSet<LogPartition>) {
    match held_up.said() {
        // The session says so with each batch.
        _ if !stopped.is_empty() => {}
        Some(why) => check.set(false, why),
        None => check.set(true, "projecting"),
    }
}

/// Asks for a schema, and whether the record that names it is passed by now.
///
/// # Errors
/// When the schema is away, or denied and nobody has passed the record.
async fn resolve(
    codec: &Codec,
    passes: &Passes,
    schema_id: u32,
    (topic, partition, offset): (&str, i32, i64),
) -> anyhow::Result<()> {
    let resolved = codec.resolve(schema_id).await;
    if passes.look(topic, partition, offset).await? {
        return Ok(());
    }
    match passes.word(topic, partition, offset) {
        Word::Undecided { decision, schema_id } => bail!(undecided(decision, schema_id)),
        _ => resolved.with_context(|| hint(topic, partition, offset)),
    }
}

/// Whether trying again from the same place cannot help.
fn is_final(error: &KafkaError) -> bool {
    let is_lost = matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::Fatal
        )
    );
    is_lost || service::kafka::is_refusal(error)
}
