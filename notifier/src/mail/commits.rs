//! Commits beside the work: a commit counts once Kafka has acknowledged it.
//!
//! rdkafka's asynchronous commit tells nobody what came of it, and the other kind keeps whoever asks waiting, who
//! must poll meanwhile. So a thread of its own asks, for one partition after the other, as the answer to several is
//! one word for all. One commit is under way at a time; what was refused is asked for again after a pause, by then
//! with what was settled meanwhile. How long an answer takes is limited by librdkafka, to some two minutes.

use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use brokerx_schemas::{AuthEvent, Message};
use brokerx_topics::service::Backoff;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::offsets::Commit;

/// Between a refusal and the next try.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Commits one partition, and waits until Kafka has acknowledged it.
///
/// # Errors
/// When it was refused, or nobody answered.
pub(super) fn commit(consumer: &BaseConsumer, commit: &Commit) -> KafkaResult<()> {
    let mut list = TopicPartitionList::new();
    let mut place = list.add_partition(AuthEvent::TOPIC, commit.partition);
    place.set_offset(Offset::Offset(commit.offset))?;
    if !commit.metadata.is_empty() {
        place.set_metadata(&commit.metadata);
    }
    let committed = consumer.commit(&list, CommitMode::Sync);
    committed.inspect_err(|error| tracing::debug!(%error, commit.partition, "an offset of auth was not committed"))
}

/// The commit that is under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// How many partitions it is for, and who asks; he returns those that are acknowledged.
    asked: Option<(usize, JoinHandle<Vec<Commit>>)>,
    /// No other is asked for before.
    not_before: Option<Instant>,
    pauses: Backoff,
}

impl Default for UnderWay {
    fn default() -> Self {
        Self {
            asked: None,
            not_before: None,
            pauses: Backoff::between(PAUSE.0, PAUSE.1),
        }
    }
}

impl UnderWay {
    /// Whether a commit may be asked for now.
    pub(super) fn is_free(&self, now: Instant) -> bool {
        self.asked.is_none() && self.not_before.is_none_or(|time| time <= now)
    }

    /// Asks for these, each by `commit`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn ask(
        &mut self,
        commits: Vec<Commit>,
        commit: impl Fn(&Commit) -> KafkaResult<()> + Send + 'static,
    ) -> io::Result<()> {
        let count = commits.len();
        let asking = move || {
            let acknowledged = commits.into_iter().filter(|it| commit(it).is_ok());
            acknowledged.collect()
        };
        let thread = std::thread::Builder::new().name("mail-commit".to_owned());
        self.asked = Some((count, thread.spawn(asking)?));
        Ok(())
    }

    /// What is acknowledged of the commit that was under way, if that is over.
    pub(super) fn acknowledged(&mut self, now: Instant) -> Vec<Commit> {
        let Some((count, thread)) = self.asked.take_if(|(_, thread)| thread.is_finished()) else {
            return Vec::new();
        };
        // Who panicked has nothing acknowledged.
        let acknowledged = thread.join().unwrap_or_default();
        if acknowledged.len() == count {
            self.pauses.reset();
        } else {
            self.not_before = Some(now + self.pauses.next());
        }
        acknowledged
    }

    /// Whether one is under way.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use rdkafka::error::{KafkaError, RDKafkaErrorCode};

    use super::*;

    fn commits(partitions: &[i32]) -> Vec<Commit> {
        let commit = |partition: &i32| Commit {
            partition: *partition,
            offset: 5,
            metadata: String::new(),
        };
        partitions.iter().map(commit).collect()
    }

    fn answer(under_way: &mut UnderWay, now: Instant) -> Vec<Commit> {
        let begun = Instant::now();
        loop {
            let acknowledged = under_way.acknowledged(now);
            if !under_way.is_asked() {
                return acknowledged;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "no answer");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn only_what_kafka_has_acknowledged_counts() {
        let now = Instant::now();
        let mut under_way = UnderWay::default();
        assert!(under_way.is_free(now));
        let (acknowledge, acknowledged) = mpsc::channel::<()>();
        let refused = KafkaError::ConsumerCommit(RDKafkaErrorCode::OffsetMetadataTooLarge);
        let asked = under_way.ask(commits(&[0, 1]), move |commit| {
            acknowledged.recv().unwrap();
            if commit.partition == 0 {
                Ok(())
            } else {
                Err(refused.clone())
            }
        });
        asked.unwrap();
        assert_eq!(under_way.acknowledged(now), [], "it is only asked for");
        assert!(!under_way.is_free(now + PAUSE.1), "one at a time");
        acknowledge.send(()).unwrap();
        acknowledge.send(()).unwrap();
        assert_eq!(answer(&mut under_way, now), commits(&[0]));
        assert!(!under_way.is_free(now), "not at once");
        assert!(under_way.is_free(now + PAUSE.0));
    }

    #[test]
    fn who_panics_has_nothing_acknowledged() {
        let now = Instant::now();
        let mut under_way = UnderWay::default();
        under_way.ask(commits(&[0]), |_| panic!("in a test")).unwrap();
        assert_eq!(answer(&mut under_way, now), []);
        under_way.ask(commits(&[0, 1]), |_| Ok(())).unwrap();
        assert_eq!(answer(&mut under_way, now + PAUSE.1), commits(&[0, 1]));
        assert!(under_way.is_free(now + PAUSE.1));
    }
}
