//! Commits beside the work: a commit counts once Kafka has acknowledged it.
//!
//! rdkafka's asynchronous commit tells nobody what came of it, and the other kind keeps whoever asks waiting, who
//! must poll meanwhile. So a thread of its own asks, for one partition after the other, as the answer to several is
//! one word for all. One commit is under way at a time; what was refused is asked for again after a pause, by then
//! with what was settled meanwhile. How long an answer takes is limited by librdkafka, to some two minutes. As the
//! group may move on in that time, each partition is looked up before it is asked for.

use std::collections::BTreeSet;
use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use brokerx_schemas::{AuthEvent, Message};
use brokerx_topics::service::Backoff;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::offsets::Commit;

/// Between a refusal and the next try.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// What is said of a partition that went to another instance, whose commits must not be overwritten.
const GONE: KafkaError = KafkaError::ConsumerCommit(RDKafkaErrorCode::AssignmentLost);

/// Commits one partition, and waits until Kafka has acknowledged it.
///
/// # Errors
/// When it is no longer assigned to this consumer, was refused, or nobody answered.
pub(super) fn commit(consumer: &BaseConsumer, commit: &Commit) -> KafkaResult<()> {
    let assigned = consumer.assignment()?;
    if assigned.find_partition(AuthEvent::TOPIC, commit.partition).is_none() {
        return Err(GONE);
    }
    let mut list = TopicPartitionList::new();
    let mut place = list.add_partition(AuthEvent::TOPIC, commit.partition);
    place.set_offset(Offset::Offset(commit.offset))?;
    if !commit.metadata.is_empty() {
        place.set_metadata(&commit.metadata);
    }
    consumer.commit(&list, CommitMode::Sync)
}

/// What Kafka said to each of the partitions that were asked for.
type Answers = Vec<(Commit, KafkaResult<()>)>;

/// The commit that is under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// Who asks.
    asked: Option<JoinHandle<Answers>>,
    /// No other is asked for before.
    not_before: Option<Instant>,
    pauses: Backoff,
    /// The partitions that were refused last, with every reason since they were acknowledged: each is told once.
    told: BTreeSet<(i32, String)>,
}

impl Default for UnderWay {
    fn default() -> Self {
        Self {
            asked: None,
            not_before: None,
            pauses: Backoff::between(PAUSE.0, PAUSE.1),
            told: BTreeSet::new(),
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
        let answered = move |it: Commit| {
            let answer = commit(&it);
            (it, answer)
        };
        let asking = move || commits.into_iter().map(answered).collect();
        let thread = std::thread::Builder::new().name("mail-commit".to_owned());
        self.asked = Some(thread.spawn(asking)?);
        Ok(())
    }

    /// What is acknowledged of the commit that was under way, if that is over.
    pub(super) fn acknowledged(&mut self, now: Instant) -> Vec<Commit> {
        let Some(thread) = self.asked.take_if(|thread| thread.is_finished()) else {
            return Vec::new();
        };
        // Who panicked has nothing acknowledged.
        let answers = thread.join();
        let is_refused = |answers: &Answers| answers.iter().any(|(_, answer)| answer.is_err());
        if answers.as_ref().map_or(true, is_refused) {
            self.not_before = Some(now + self.pauses.next());
        } else {
            self.pauses.reset();
        }
        let mut acknowledged = Vec::new();
        for (commit, answer) in answers.unwrap_or_default() {
            match answer {
                Ok(()) => {
                    self.told.retain(|(partition, _)| *partition != commit.partition);
                    acknowledged.push(commit);
                }
                Err(error) => self.tell(commit.partition, &error),
            }
        }
        acknowledged
    }

    fn tell(&mut self, partition: i32, error: &KafkaError) {
        if *error != GONE && self.told.insert((partition, error.to_string())) {
            tracing::warn!(%error, partition, "an offset of auth is not committed, and is asked for again");
        } else {
            tracing::debug!(%error, partition, "an offset of auth is not committed");
        }
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
    fn each_reason_of_a_partition_is_told_once() {
        let mut under_way = UnderWay::default();
        let mut told = Vec::new();
        let (large, away) = (
            KafkaError::ConsumerCommit(RDKafkaErrorCode::OffsetMetadataTooLarge),
            KafkaError::ConsumerCommit(RDKafkaErrorCode::BrokerTransportFailure),
        );
        let refused = [
            Err(large.clone()),
            Err(large.clone()),
            Err(away),
            Err(large.clone()),
            Err(GONE),
            Ok(()),
            Err(large),
        ];
        for answered in refused {
            under_way.ask(commits(&[0]), move |_| answered.clone()).unwrap();
            answer(&mut under_way, Instant::now());
            told.push(under_way.told.len());
        }
        assert_eq!(told, [1, 1, 2, 2, 2, 0, 1]);
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
