//! One thread that reads partitions of one topic and hands each record to a [`Sink`].
//!
//! Positions are explicit (`assign()`, no group): every instance reads everything. When the log no
//! longer has the position, or the client fails for good, reading begins anew and the sink forgets
//! what it knew. A value that cannot be decoded is logged and left out, and so is a record that does not name the worker
//! who alone writes the topic. While reading cannot begin, or nothing comes although the log goes on, as behind an open
//! transaction, the process is not ready; a schema that cannot be
//! fetched is waited for, and so is one that the registry denies, until an operator passes the offset: the
//! process is not ready meanwhile.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use brokerx_schemas::Message;
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::{ReadMetrics, Sequences};
use crate::codec::{Codec, DecodeError};
use crate::headers::{Trace, claimed_source, identity_of, trace_of};
use crate::machine::{Identity, Verdict, is_of_its_topic};
use crate::passes::{Passes, Word, hint, undecided};
use crate::service::clock::now_us;
use crate::service::kafka::consumer_config;
use crate::service::{Check, ClockWatch, GatheringConsumer, Health, HeldUpLogs, PlatformOptions, Shutdown, backoff};

/// Limit of one question to the broker.
const QUESTION_LIMIT: Duration = Duration::from_secs(5);
/// What the check of a reader says while it holds.
const NOTHING_IN_THE_WAY: &str = "nothing stands in the way";
/// How often a thread without records looks whether it should stop.
const POLL: Duration = Duration::from_millis(500);

/// Where reading begins.
#[derive(Clone, Debug)]
pub enum Start {
    /// With the oldest record.
    Beginning,
    /// With the next record.
    End,
    /// With the first record that is not older than this.
    Ago(Duration),
    /// With these offsets by partition, or what is nearest to them; a partition without one begins
    /// with its oldest record.
    At(BTreeMap<i32, i64>),
}

/// What becomes of a worker's record whose number is not the next of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// It is left out: a lower number was seen before, and the sender starts over from before a hole.
    Dense,
    /// It is handed on like the others, and only counted.
    Counted,
    /// Numbers are not looked at: the topic is compacted, so some are missing.
    Ignored,
}

/// A record of a topic.
pub struct Record<M> {
    /// Its partition.
    pub partition: i32,
    /// The request that it belongs to.
    pub trace: Trace,
    /// Its value.
    pub message: M,
}

/// What becomes of the records.
pub trait Sink<M>: Send + 'static {
    /// Reading begins, for the first time or anew, in these partitions.
    fn started(&mut self, partitions: &[i32]);
    /// The next record of a partition.
    fn record(&mut self, record: Record<M>);
    /// Everything that a partition held when reading began was read; once per beginning. More comes
    /// as it is written.
    fn caught_up(&mut self, partition: i32);
}

/// What all readers of a process have in common.
#[derive(Clone)]
pub struct Readers {
    /// Names the threads and the clients, each with its topic; no group is joined.
    pub process: &'static str,
    /// Where the brokers are.
    pub platform: PlatformOptions,
    /// Decodes the values.
    pub codec: Codec,
    /// What is counted.
    pub metrics: ReadMetrics,
    /// When to stop.
    pub shutdown: Shutdown,
    /// Where it shows when a reader cannot go on.
    pub health: Health,
    /// This machine's clock beside the broker's.
    pub clock: ClockWatch,
}

impl Readers {
    /// A reader of all partitions of a topic whose numbers are dense, which gets each record at once.
    pub fn from(&self, start: Start) -> Reader {
        Reader {
            common: self.clone(),
            start,
            partition: None,
            numbering: Numbering::Dense,
            gather: None,
        }
    }
}

/// A reader that is not started yet.
#[must_use = "it reads once it is spawned"]
pub struct Reader {
    common: Readers,
    start: Start,
    /// All of them without one.
    partition: Option<i32>,
    numbering: Numbering,
    gather: Option<Duration>,
}

impl Reader {
    /// Reads one partition only.
    pub fn partition(self, partition: i32) -> Self {
        Self {
            partition: Some(partition),
            ..self
        }
    }

    /// What becomes of duplicates and of what stands behind a hole.
    pub fn numbering(self, numbering: Numbering) -> Self {
        Self { numbering, ..self }
    }

    /// Lets the broker gather records for so long before it answers, while there are many.
    pub fn gathering(self, gather: Duration) -> Self {
        Self {
            gather: Some(gather),
            ..self
        }
    }

    /// Starts the thread; it ends when the shutdown is requested.
    ///
    /// # Errors
    /// When the system gives no thread.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, which is where foreign schemas are fetched.
    pub fn spawn<M: Message, S: Sink<M>>(self, mut sink: S) -> std::io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Handle::current();
        let name = format!("{}-{}", self.common.process, M::TOPIC);
        let watch = Watch {
            check: self.common.health.add(&format!("reading-{}", M::TOPIC)),
            held_up: RefCell::default(),
            passes: Passes::new(self.common.platform.clone(), self.common.codec.clone()),
            runtime,
        };
        watch.check.set(true, NOTHING_IN_THE_WAY);
        std::thread::Builder::new().name(name.clone()).spawn(move || {
            let mut pause = backoff();
            while !self.common.shutdown.is_requested() {
                if let Err(error) = self.read(&name, &mut sink, &watch, || pause.reset()) {
                    tracing::warn!(topic = M::TOPIC, %error, "reading begins anew");
                    watch.check.set(false, &format!("reading begins anew: {error}"));
                    std::thread::sleep(pause.next());
                }
            }
        })
    }

    fn read<M: Message, S: Sink<M>>(
        &self,
        name: &str,
        sink: &mut S,
        watch: &Watch,
        mut succeeded: impl FnMut(),
    ) -> Result<(), KafkaError> {
        let mut config = consumer_config(&self.common.platform, name);
        // A position that the log no longer has is noticed, not jumped over.
        config.set("auto.offset.reset", "error");
        let mut consumer = GatheringConsumer::new(config, self.gather, DefaultConsumerContext)?;
        // What was passed before reading begins is passed by everybody.
        if let Err(error) = watch.passes.refresh(consumer.client().client()) {
            tracing::warn!(
                topic = M::TOPIC,
                error = format!("{error:#}"),
                "what is passed is not known yet"
            );
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut));
        }
        let mut behind = self.ranges(consumer.client(), M::TOPIC)?;
        *watch.held_up.borrow_mut() = HeldUpLogs::default();
        let mut is_begun = false;
        let mut assignment = TopicPartitionList::with_capacity(behind.len());
        for (partition, range) in &behind {
            // A number, not a name such as "end": a client that loses its connection in between must
            // come back to the same place.
            assignment.add_partition_offset(M::TOPIC, *partition, Offset::Offset(range.start))?;
        }
        consumer.assign(assignment)?;
        // The first number of each source is its base: what was known before is forgotten.
        let mut sequences: BTreeMap<i32, Sequences> = behind
            .keys()
            .map(|partition| (*partition, Sequences::default()))
            .collect();
        sink.started(&behind.keys().copied().collect::<Vec<_>>());
        behind.retain(|partition, range| {
            let more = range.start < range.end;
            if !more {
                sink.caught_up(*partition);
            }
            more
        });
        while !self.common.shutdown.is_requested() {
            if watch.held_up.borrow_mut().look(&consumer, Instant::now())? {
                watch.tell();
            }
            let polled = consumer.poll(POLL);
            if !is_begun && !matches!(polled, Some(Err(_))) {
                is_begun = true;
                watch.tell();
            }
            match polled {
                // Nothing more comes of what it held: what is left of that are markers of transactions.
                None if !behind.is_empty() => {
                    let reached = consumer.reached()?;
                    behind.retain(|partition, range| {
                        let reached = reached.find_partition(M::TOPIC, *partition).map(|place| place.offset());
                        let more = !matches!(reached, Some(Offset::Offset(offset)) if offset >= range.end);
                        if !more {
                            sink.caught_up(*partition);
                        }
                        more
                    });
                }
                None => self.common.clock.nothing_read(),
                Some(Ok(message)) => {
                    succeeded();
                    let partition = message.partition();
                    // What was there before was appended at any time.
                    if let (false, Some(appended_ms)) =
                        (behind.contains_key(&partition), message.timestamp().to_millis())
                    {
                        self.common.clock.read(appended_ms);
                    }
                    if let Some((identity, record)) =
                        self.decode(&message, watch, sequences.entry(partition).or_default())
                        && self.is_wanted::<M>(identity.as_ref(), sequences.entry(partition).or_default())
                    {
                        sink.record(record);
                    }
                    if behind
                        .get(&partition)
                        .is_some_and(|range| message.offset() + 1 >= range.end)
                    {
                        behind.remove(&partition);
                        sink.caught_up(partition);
                    }
                }
                Some(Err(error)) => match error.rdkafka_error_code() {
                    // librdkafka goes on by itself once a broker is back.
                    Some(
                        RDKafkaErrorCode::BrokerTransportFailure
                        | RDKafkaErrorCode::AllBrokersDown
                        | RDKafkaErrorCode::OperationTimedOut
                        | RDKafkaErrorCode::Resolve
                        | RDKafkaErrorCode::NotCoordinator
                        | RDKafkaErrorCode::CoordinatorNotAvailable
                        | RDKafkaErrorCode::CoordinatorLoadInProgress,
                    ) => tracing::debug!(topic = M::TOPIC, %error, "the broker is away"),
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// For each partition where to begin, and where its log ended when that was asked.
    fn ranges(&self, consumer: &BaseConsumer, topic: &str) -> Result<BTreeMap<i32, Range<i64>>, KafkaError> {
        let partitions: Vec<i32> = match self.partition {
            Some(partition) => vec![partition],
            None => {
                let metadata = consumer.fetch_metadata(Some(topic), QUESTION_LIMIT)?;
                let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
                if count == 0 {
                    return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
                }
                (0..count as i32).collect()
            }
        };
        let mut ranges = BTreeMap::new();
        for partition in partitions {
            let (low, high) = consumer.fetch_watermarks(topic, partition, QUESTION_LIMIT)?;
            let start = match &self.start {
                Start::Beginning => low,
                Start::End => high,
                Start::Ago(age) => offset_ago(consumer, topic, partition, *age)?.unwrap_or(high),
                Start::At(offsets) => offsets.get(&partition).copied().unwrap_or(low),
            };
            ranges.insert(partition, start.clamp(low, high)..high);
        }
        Ok(ranges)
    }

    /// Judges a record by its number, counts it, and tells whether the sink gets it.
    fn is_wanted<M: Message>(&self, identity: Option<&Identity>, sequences: &mut Sequences) -> bool {
        let topic = M::TOPIC;
        let judged = identity.filter(|_| self.numbering != Numbering::Ignored);
        let is_next = match judged.map(|identity| sequences.judge(identity)) {
            Some(Verdict::Next) | None => true,
            Some(Verdict::Duplicate) => {
                self.common.metrics.duplicate(topic);
                false
            }
            Some(Verdict::Hole { .. }) => {
                self.common.metrics.behind_hole(topic);
                false
            }
        };
        let is_wanted = is_next || self.numbering == Numbering::Counted;
        if is_wanted {
            self.common.metrics.applied(topic);
        }
        is_wanted
    }

    /// Whether the worker wrote a record who alone writes its topic. What it says is not looked at before: nobody waits
    /// for a schema that a stranger names.
    fn is_of_topic<M: Message>(&self, source: Option<&[u8]>) -> bool {
        let is_of_topic = is_of_its_topic::<M>(source);
        if !is_of_topic {
            let topic = M::TOPIC;
            let source = source.map(String::from_utf8_lossy);
            tracing::error!(
                topic,
                ?source,
                "a record that its topic's worker did not write is left out"
            );
            self.common.metrics.left_out(topic);
        }
        is_of_topic
    }

    /// The record of a message and who wrote it; none when it cannot be used.
    fn decode<M: Message>(
        &self,
        message: &BorrowedMessage<'_>,
        watch: &Watch,
        sequences: &mut Sequences,
    ) -> Option<(Option<Identity>, Record<M>)> {
        let unusable = |error: &dyn std::fmt::Display| {
            tracing::error!(
                topic = M::TOPIC, partition = message.partition(), offset = message.offset(), %error,
                "a record cannot be used"
            );
        };
        if !self.is_of_topic::<M>(claimed_source(message.headers())) {
            return None;
        }
        let identity = match identity_of(message.headers()) {
            Ok(identity) => identity,
            Err(error) => {
                unusable(&error);
                return None;
            }
        };
        // Left out, but counted, so that what comes behind it is no hole.
        let mut left_out = || {
            if let Some(identity) = &identity {
                sequences.judge(identity);
            }
        };
        let Some(value) = message.payload() else {
            // In a compacted topic that is how a key ends.
            left_out();
            return None;
        };
        let place = (message.partition(), message.offset());
        let mut pause = backoff();
        loop {
            let word = watch.passes.word(M::TOPIC, place.0, place.1);
            let decoded = match &word {
                Word::Passed(_) => {
                    self.unblocked(watch, M::TOPIC);
                    left_out();
                    return None;
                }
                Word::Undecided { schema_id, .. } => Err(DecodeError::UnknownSchema(*schema_id)),
                Word::Use => self.common.codec.decode::<M>(value),
            };
            let decoded = match decoded {
                Err(DecodeError::UnknownSchema(id)) => {
                    let decoded = match word {
                        Word::Undecided { .. } => Err(DecodeError::DeniedSchema(id)),
                        _ => watch.runtime.block_on(self.common.codec.decode_resolving(value)),
                    };
                    // Also when the schema is there by now: what somebody else has passed is passed.
                    match watch.runtime.block_on(watch.passes.look(M::TOPIC, place.0, place.1)) {
                        Ok(false) => decoded,
                        Ok(true) => continue,
                        Err(error) => {
                            tracing::warn!(
                                topic = M::TOPIC,
                                error = format!("{error:#}"),
                                "what is passed is not known"
                            );
                            std::thread::sleep(pause.next());
                            continue;
                        }
                    }
                }
                decoded => decoded,
            };
            match decoded {
                Ok(decoded) => {
                    self.unblocked(watch, M::TOPIC);
                    let record = Record {
                        partition: message.partition(),
                        trace: trace_of(message.headers()),
                        message: decoded,
                    };
                    return Some((identity, record));
                }
                Err(error @ (DecodeError::UnknownSchema(_) | DecodeError::DeniedSchema(_)))
                    if !self.common.shutdown.is_requested() =>
                {
                    let is_denied = matches!(error, DecodeError::DeniedSchema(_));
                    let mut why = format!("{}-{} offset {}: {error}", M::TOPIC, place.0, place.1);
                    if is_denied {
                        let more = match word {
                            Word::Undecided { decision, schema_id } => undecided(decision, schema_id),
                            _ => hint(M::TOPIC, place.0, place.1),
                        };
                        why = format!("{why}; {more}");
                        tracing::error!(why, "a reader is blocked for good");
                    } else {
                        tracing::warn!(why, "waiting for a schema");
                    }
                    watch.check.set(false, &why);
                    self.common.metrics.blocked(M::TOPIC, true);
                    std::thread::sleep(pause.next());
                }
                Err(error) => {
                    unusable(&error);
                    left_out();
                    return None;
                }
            }
        }
    }

    fn unblocked(&self, watch: &Watch, topic: &'static str) {
        if self.common.metrics.blocked(topic, false) {
            watch.tell();
        }
    }
}

/// What a reading thread has besides its client.
struct Watch {
    check: Check,
    held_up: RefCell<HeldUpLogs>,
    passes: Passes,
    runtime: tokio::runtime::Handle,
}

impl Watch {
    /// Says how reading stands while no record waits for a schema.
    fn tell(&self) {
        match self.held_up.borrow().said() {
            Some(why) => self.check.set(false, why),
            None => self.check.set(true, NOTHING_IN_THE_WAY),
        }
    }
}

/// The first offset that is not older than `age`; none when nothing is that young.
fn offset_ago(consumer: &BaseConsumer, topic: &str, partition: i32, age: Duration) -> Result<Option<i64>, KafkaError> {
    let since_ms = (now_us() - age.as_micros() as i64) / 1_000;
    let mut question = TopicPartitionList::with_capacity(1);
    question.add_partition_offset(topic, partition, Offset::Offset(since_ms))?;
    let answer = consumer.offsets_for_times(question, QUESTION_LIMIT)?;
    Ok(answer
        .elements()
        .first()
        .and_then(|element| element.offset().to_raw())
        .filter(|offset| *offset >= 0))
}

#[cfg(test)]
mod tests {
    use brokerx_schemas::{AccountEvent, AuthEvent};

    use super::*;

    fn readers() -> Readers {
        Readers {
            process: "test",
            platform: PlatformOptions {
                kafka_brokers: String::new(),
                schema_registry_url: String::new(),
                schema_registry_ca_file: None,
                schema_registry_credentials: Default::default(),
                schema_dir: None,
                kafka_security: Default::default(),
            },
            codec: Codec::detached(),
            metrics: ReadMetrics::new(&mut crate::service::metrics()),
            shutdown: Shutdown::default(),
            health: Health::default(),
            clock: ClockWatch::of_process(&mut crate::service::metrics(), &Health::default()),
        }
    }

    #[test]
    fn where_only_workers_write_a_record_names_one() {
        let reader = readers().from(Start::End);
        assert!(reader.is_of_topic::<AccountEvent>(Some(b"account-commands-0")));
        assert!(!reader.is_of_topic::<AccountEvent>(Some(b"tool-0")));
        assert!(!reader.is_of_topic::<AccountEvent>(None));
        assert!(reader.is_of_topic::<AuthEvent>(None), "others write there as well");
    }

    #[test]
    fn the_numbering_says_what_is_handed_on() {
        // The second is a duplicate, the fourth stands behind a hole.
        let numbers = [Some(7), Some(7), Some(8), Some(10), None];
        for (numbering, expected) in [
            (Numbering::Dense, [true, false, true, false, true]),
            (Numbering::Counted, [true; 5]),
            (Numbering::Ignored, [true; 5]),
        ] {
            let reader = readers().from(Start::End).numbering(numbering);
            let mut sequences = Sequences::default();
            let handed_on = numbers.map(|seq| {
                let identity = seq.map(|seq| Identity {
                    source: "account-commands-0".to_owned(),
                    seq,
                });
                reader.is_wanted::<AuthEvent>(identity.as_ref(), &mut sequences)
            });
            assert_eq!(handed_on, expected, "{numbering:?}");
        }
    }
}
