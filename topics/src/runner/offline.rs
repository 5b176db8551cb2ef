//! A fold of a topic range without a group, without sends: replay, backtest, reconciliation.

use std::time::{Duration, Instant};

use brokerx_schemas::Message;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::RunnerError;
use super::apply_thread::reader_config;
use super::opening::{OpenError, first_fold, partition_counts};
use super::record::{RecordReader, UnknownSchema};
use super::survey::{Between, Surveyor};
use crate::codec::Codec;
use crate::machine::{Emission, Fold, Machine};
use crate::passes::{Passes, Word};
use crate::service::{Drained, PlatformOptions, backoff, kafka};

/// How long the broker may be silent before the fold gives up.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// How long the registry may keep a schema back.
const SCHEMA_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Folds an inbox partition from offset 0 up to, not including, `until`, or up to its end as of now.
/// May be called from any thread; blocks it.
///
/// # Errors
/// When Kafka or the registry does not answer, or the partition cannot be folded.
///
/// # Panics
/// When the machine does.
pub fn fold_topic<M: Machine>(
    platform: &PlatformOptions,
    codec: &Codec,
    partition: i32,
    until: Option<i64>,
) -> Result<Fold<M>, RunnerError> {
    replay_topic(platform, codec, partition, until, |_| {})
}

/// As [`fold_topic`]; `observe` is given everything that the machine sends, in order.
///
/// # Errors
/// As [`fold_topic`].
///
/// # Panics
/// When the machine or `observe` does.
pub fn replay_topic<M: Machine>(
    platform: &PlatformOptions,
    codec: &Codec,
    partition: i32,
    until: Option<i64>,
    mut observe: impl FnMut(Emission) + Send,
) -> Result<Fold<M>, RunnerError> {
    // A thread of its own: the registry is asked by blocking, which an async thread must not.
    std::thread::scope(|scope| {
        let folding = scope.spawn(|| Replay::<M>::open(platform, codec, partition, until)?.run(&mut observe));
        folding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

struct Replay<'a, M: Machine> {
    consumer: Drained,
    surveyor: Surveyor,
    passes: Passes,
    codec: &'a Codec,
    until: i64,
    partition: i32,
    fold: Fold<M>,
}

impl<'a, M: Machine> Replay<'a, M> {
    fn open(
        platform: &PlatformOptions,
        codec: &'a Codec,
        partition: i32,
        until: Option<i64>,
    ) -> Result<Self, RunnerError> {
        let topic = M::Input::TOPIC;
        let failed = |error: KafkaError| RunnerError::Kafka(format!("{topic}-{partition}: {error}"));
        let consumer: Drained = reader_config(platform, "brokerx-offline").create().map_err(failed)?;
        let (low, high) = consumer
            .fetch_watermarks(topic, partition, ANSWER_LIMIT)
            .map_err(failed)?;
        let until = until.unwrap_or(high);
        if low > 0 || until > high {
            return Err(RunnerError::Kafka(format!(
                "{topic}-{partition} holds offsets {low} to {high}, asked for are 0 to {until}"
            )));
        }
        let passes = Passes::new(platform.clone(), codec.clone());
        passes
            .refresh(consumer.client())
            .map_err(|error| RunnerError::Kafka(format!("{error:#}")))?;
        let counts = partition_counts(consumer.client()).map_err(failed)?;
        let cluster_id = consumer.client().fetch_cluster_id(ANSWER_LIMIT);
        let fold = first_fold(partition, cluster_id, &counts)
            .map_err(|(OpenError::Away(reason) | OpenError::Refused(reason))| RunnerError::Kafka(reason))?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .map_err(failed)?;
        consumer.assign(&list).map_err(failed)?;
        Ok(Self {
            consumer,
            surveyor: Surveyor::new(reader_config(platform, "brokerx-offline")),
            passes,
            codec,
            until,
            partition,
            fold,
        })
    }

    fn run(mut self, observe: &mut impl FnMut(Emission)) -> Result<Fold<M>, RunnerError> {
        let mut reader = RecordReader::default();
        let mut emissions = Vec::new();
        let mut heard_at = Instant::now();
        while self.fold.position() < self.until {
            let message = match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => message,
                silence_or_error if heard_at.elapsed() >= SILENCE_LIMIT => {
                    let reason = match silence_or_error {
                        Some(Err(error)) => error.to_string(),
                        _ => format!("nothing came after offset {}", self.fold.position()),
                    };
                    return Err(RunnerError::Kafka(reason));
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "reading");
                    continue;
                }
                // What is left are markers.
                None if self.has_read_all() => break,
                None => continue,
            };
            heard_at = Instant::now();
            if message.offset() >= self.until {
                break;
            }
            let (expected, offset) = (self.fold.position(), message.offset());
            let clear = offset > expected && Self::is_clear(&mut self.surveyor, self.partition, (expected, offset))?;
            let record = loop {
                let schema_id = match self.passes.word(M::Input::TOPIC, self.partition, offset) {
                    Word::Passed(passed) => break reader.passed(&message, &passed.reason),
                    Word::Undecided { schema_id, .. } => schema_id,
                    Word::Use => match reader.read(self.codec, &message) {
                        Ok(record) => break record,
                        Err(UnknownSchema { schema_id, .. }) => schema_id,
                    },
                };
                resolve(self.codec, schema_id, offset)?;
                // Somebody may have passed it meanwhile.
                self.passes
                    .refresh(self.consumer.client())
                    .map_err(|error| RunnerError::Kafka(format!("{error:#}")))?;
            };
            if clear {
                self.fold.pass_over(offset);
            }
            self.fold.apply(record, &mut emissions)?;
            while !self.fold.is_between_records() {
                self.fold.resume(&mut emissions);
                emissions.drain(..).for_each(&mut *observe);
            }
            emissions.drain(..).for_each(&mut *observe);
        }
        Ok(self.fold)
    }

    /// Whether the reader has come to the end, markers included.
    fn has_read_all(&self) -> bool {
        let position = kafka::position(&self.consumer, M::Input::TOPIC, self.partition);
        matches!(position, Ok(Some(position)) if position >= self.until)
    }

    /// Whether nothing is a record from the position up to an offset. When records are missing it is not,
    /// and the fold says so.
    ///
    /// # Errors
    /// When the broker does not say.
    fn is_clear(surveyor: &mut Surveyor, partition: i32, range: (i64, i64)) -> Result<bool, RunnerError> {
        match surveyor.survey(M::Input::TOPIC, partition, range, || {}) {
            Between::NoRecord => Ok(true),
            Between::Missing(_) => Ok(false),
            Between::Unanswered(reason) => Err(RunnerError::Kafka(reason)),
        }
    }
}

/// Asks the registry until it has the schema or the limit passes.
fn resolve(codec: &Codec, schema_id: u32, offset: i64) -> Result<(), RunnerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunnerError::Start)?;
    let started = Instant::now();
    let mut backoff = backoff();
    loop {
        match runtime.block_on(codec.resolve(schema_id)) {
            Ok(()) => return Ok(()),
            Err(error) if started.elapsed() >= SCHEMA_LIMIT => {
                return Err(RunnerError::Schema {
                    offset,
                    schema_id,
                    reason: error.to_string(),
                });
            }
            Err(_) => std::thread::sleep(backoff.next()),
        }
    }
}
