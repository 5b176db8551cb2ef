//! Sends, and what became of them.
//!
//! One producer per apply thread. Every record carries a [`Tag`]: which life of which partition sent
//! it, and the offset that caused it. A delivery report is handed on under that tag, so that a report
//! of an earlier life of a partition is never counted for a later one.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::RunnerError;
use crate::service::{Complaining, Drained, PlatformOptions, kafka};
use crate::wire::{AddError, Producer, Record};

/// How long a look for room waits before the caller is asked whether to go on.
const ROOM_WAIT: Duration = Duration::from_millis(10);
const OFFSET_BITS: u32 = 47;
const TICK: u64 = 1 << OFFSET_BITS;

/// Whose record it was, in 64 bits: 16 of the life, one that tells a tick, 47 of the offset (a million records per
/// second for four years).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u64);

impl Tag {
    /// An output that the record at `offset` caused.
    ///
    /// # Panics
    /// When the offset does not fit into 47 bits.
    pub fn output(life: u16, offset: i64) -> Self {
        assert!(
            (0..1 << OFFSET_BITS).contains(&offset),
            "offset {offset} does not fit a tag"
        );
        Self(u64::from(life) << (OFFSET_BITS + 1) | offset as u64)
    }

    /// A tick.
    pub fn tick(life: u16) -> Self {
        Self(u64::from(life) << (OFFSET_BITS + 1) | TICK)
    }

    /// The life that sent it.
    pub fn life(self) -> u16 {
        (self.0 >> (OFFSET_BITS + 1)) as u16
    }

    /// The offset that caused it; none for a tick.
    pub fn offset(self) -> Option<i64> {
        (self.0 & TICK == 0).then_some((self.0 & (TICK - 1)) as i64)
    }
}

/// Why a record was not sent.
#[derive(Debug)]
pub enum SendError {
    /// The producer is of no more use.
    Failed(String),
    /// The record can never be sent.
    Unsendable(String),
    /// The caller gave up waiting for room.
    Abandoned,
}

/// A producer with its delivery reports.
pub struct Sender {
    producer: Producer<Tag>,
    /// Delivered, and not handed on yet.
    delivered: Vec<Tag>,
    /// For questions only; nothing is sent with it.
    questions: Drained<BaseConsumer<Complaining>>,
}

impl Sender {
    /// A producer that neither loses nor reorders while it lives; what it writes twice is removed by number.
    ///
    /// # Errors
    /// When its client for questions cannot be made.
    pub fn new(platform: &PlatformOptions, latency: Histogram) -> Result<Self, RunnerError> {
        let questions = kafka::client_config(platform)
            .create_with_context(Complaining)
            .map_err(|error| RunnerError::Kafka(error.to_string()))?;
        Ok(Self {
            producer: Producer::new(platform, latency),
            delivered: Vec::new(),
            questions,
        })
    }

    /// Takes a record, which goes out with the next [`collect`](Self::collect). Without room, or a broker, this
    /// blocks: `go_on` is asked now and then whether to wait longer.
    ///
    /// # Errors
    /// When the record was not taken.
    pub fn send(&mut self, tag: Tag, record: Record<'_>, mut go_on: impl FnMut() -> bool) -> Result<(), SendError> {
        loop {
            match self.producer.add(tag, record) {
                Ok(()) => return Ok(()),
                Err(AddError::Unsendable(reason)) => return Err(SendError::Unsendable(reason)),
                Err(AddError::Refused(reason)) => return Err(SendError::Failed(reason)),
                Err(AddError::Full) => {}
                Err(AddError::Away(reason)) => {
                    tracing::debug!(reason, "a record waits");
                    std::thread::sleep(ROOM_WAIT);
                }
            }
            let mut delivered = std::mem::take(&mut self.delivered);
            let collected = self.producer.collect(ROOM_WAIT, &mut delivered);
            self.delivered = delivered;
            collected.map_err(SendError::Failed)?;
            if !go_on() {
                return Err(SendError::Abandoned);
            }
        }
    }

    /// Sends what was taken, and appends what was delivered since the last call. Waits for that up to `wait`
    /// when it is not zero and records are in flight.
    ///
    /// # Errors
    /// When any record could not be delivered: everything of this producer starts over.
    pub fn collect(&mut self, wait: Duration, delivered: &mut Vec<Tag>) -> Result<(), String> {
        delivered.append(&mut self.delivered);
        self.producer.collect(wait, delivered)
    }

    /// A client for questions. What it has to tell meanwhile, of a broker that does not let it in, is told.
    pub fn client(&self) -> &Client<impl ClientContext> {
        while self.questions.poll(Duration::ZERO).is_some() {}
        self.questions.client()
    }

    /// Records that were taken and are not known to be delivered.
    pub fn in_flight(&self) -> usize {
        self.producer.in_flight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_holds_life_and_offset() {
        for (life, offset) in [(0, 0), (u16::MAX, (1 << OFFSET_BITS) - 1), (7, 123_456_789_012)] {
            let tag = Tag::output(life, offset);
            assert_eq!((tag.life(), tag.offset()), (life, Some(offset)));
        }
        assert_eq!((Tag::tick(9).life(), Tag::tick(9).offset()), (9, None));
    }
}
