//! What stands between two offsets that a reader got one after the other: nothing that is a record, or
//! records that are lost.
//!
//! Offsets are dense in a log, but not every offset is a record. A transaction's marker takes one, and
//! what was written in a transaction that was aborted is there and does not count. Kafka's client passes
//! over both without a word, as it does over records that are gone: deleted, compacted away, or in a
//! segment that a broker lost. So each offset in between is asked for by itself.
//!
//! The log is read again as it stands (`read_uncommitted`), a batch at a time: the least that a broker
//! answers is one batch, and as long as one is queued the client does not fetch the next. What was
//! aborted comes as a message. A marker comes as nothing but a step of the client's position by one,
//! which can be told from a step over what is not there: that is longer, or leads to another message.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use crate::service::{Drained, kafka};

/// How long a survey may take. The apply thread's other partitions wait for it.
const LIMIT: Duration = Duration::from_secs(3);
/// Between two looks: a batch takes a round trip to the broker.
const PAUSE: Duration = Duration::from_millis(1);
/// So often an offset must have been found missing: a look that comes late may take two steps for one.
const LOOKS: u32 = 3;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Between {
    /// Nothing but markers and what was aborted.
    NoRecord,
    /// This offset is not in the log.
    Missing(i64),
    /// The broker did not answer in time: try again.
    Unanswered(String),
}

/// Looks at what stands between offsets; keeps its client from one time to the next.
pub struct Surveyor {
    config: ClientConfig,
    client: Option<Drained>,
    /// Where the client's position stands by partition: below, it would be one of the past.
    surveyed: BTreeMap<(String, i32), i64>,
}

impl Surveyor {
    /// With the settings of the reader whose steps are looked into.
    pub fn new(mut reader: ClientConfig) -> Self {
        reader
            .set("isolation.level", "read_uncommitted")
            // One batch in an answer, and one answer at a time.
            .set("fetch.message.max.bytes", "1")
            .set("queued.min.messages", "1");
        Self {
            config: reader,
            client: None,
            surveyed: BTreeMap::new(),
        }
    }

    /// Looks at the offsets from `from` up to, not including, `to`. Blocks for some milliseconds for each
    /// batch, and 3 s at most; `beat` is called as it gets on.
    pub fn survey(&mut self, topic: &str, partition: i32, (from, to): (i64, i64), mut beat: impl FnMut()) -> Between {
        let place = (topic.to_owned(), partition);
        if self.surveyed.get(&place).is_some_and(|surveyed| *surveyed > from) {
            self.forget_client();
        }
        let deadline = Instant::now() + LIMIT;
        let (mut at, mut looks) = (from, 0);
        loop {
            match self.walk(topic, partition, (&mut at, to), deadline, &mut beat) {
                Ok(Walk::Through) => {
                    self.surveyed.insert(place, to);
                    return Between::NoRecord;
                }
                Ok(Walk::Stumbled(offset)) => {
                    looks = if offset == at { looks + 1 } else { 1 };
                    at = offset;
                    self.forget_client();
                    if looks == LOOKS {
                        return Between::Missing(at);
                    }
                }
                Ok(Walk::OutOfTime) => {
                    self.forget_client();
                    return Between::Unanswered(format!("nothing came for offset {at} in time"));
                }
                Err(error) => {
                    self.forget_client();
                    return Between::Unanswered(error.to_string());
                }
            }
        }
    }

    fn walk(
        &mut self,
        topic: &str,
        partition: i32,
        (at, to): (&mut i64, i64),
        deadline: Instant,
        beat: &mut impl FnMut(),
    ) -> Result<Walk, KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(*at))?;
        let client = match self.client.take() {
            Some(client) => client,
            None => self.config.create()?,
        };
        let client = self.client.insert(client);
        client.assign(&list)?;
        while *at < to {
            if Instant::now() >= deadline {
                return Ok(Walk::OutOfTime);
            }
            beat();
            match client.poll(Duration::ZERO) {
                // Of the time before it was assigned.
                Some(Ok(message)) if message.offset() < *at => {}
                Some(Ok(message)) if message.offset() == *at => *at += 1,
                Some(Ok(_)) => return Ok(Walk::Stumbled(*at)),
                Some(Err(error)) => match error.rdkafka_error_code() {
                    // A batch that does not have its checksum is as good as lost; so is one that
                    // retention has taken.
                    Some(
                        RDKafkaErrorCode::BadMessage
                        | RDKafkaErrorCode::InvalidMessage
                        | RDKafkaErrorCode::AutoOffsetReset
                        | RDKafkaErrorCode::OffsetOutOfRange,
                    ) => return Ok(Walk::Stumbled(*at)),
                    _ => tracing::debug!(topic, partition, %error, "looking at what stands between offsets"),
                },
                None => match kafka::position(client, topic, partition)? {
                    Some(position) if position == *at + 1 => *at = position,
                    Some(position) if position > *at => return Ok(Walk::Stumbled(*at)),
                    Some(_) | None => std::thread::sleep(PAUSE),
                },
            }
        }
        client.unassign()?;
        Ok(Walk::Through)
    }

    fn forget_client(&mut self) {
        self.surveyed.clear();
        if let Some(client) = self.client.take() {
            client.retire();
        }
    }
}

impl Drop for Surveyor {
    fn drop(&mut self) {
        self.forget_client();
    }
}

/// How far a walk over offsets came.
enum Walk {
    /// To the end.
    Through,
    /// The next step was not to this offset.
    Stumbled(i64),
    /// The time is over.
    OutOfTime,
}
