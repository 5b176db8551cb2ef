//! The member of the machine's consumer group: what it is given, and what it commits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

use super::board::Board;
use super::metrics::{PartitionMetrics, RunnerMetrics, set_seconds};
use super::native;
use crate::service::{Complaining, PlatformOptions, kafka};

/// A revocation waits this long for the apply threads; their own limit is shorter.
const RELEASE_LIMIT: Duration = Duration::from_millis(500);
/// A commit waits this long for the broker; the group is not polled meanwhile.
const COMMIT_LIMIT: Duration = Duration::from_secs(1);

/// What happens to the membership.
pub struct Member {
    topic: &'static str,
    machine: &'static str,
    board: Arc<Board>,
    metrics: RunnerMetrics,
    joined: AtomicBool,
    fenced: AtomicBool,
    committed: Mutex<BTreeMap<i32, Committed>>,
}

struct Committed {
    assignment: u64,
    offset: i64,
    /// When a commit last covered everything that was applied.
    complete_at: Instant,
    metrics: PartitionMetrics,
}

/// The settings of the member.
pub fn member_config(platform: &PlatformOptions, group: &str, instance: &str, stall_limit: Duration) -> ClientConfig {
    let mut config = kafka::consumer_config(platform, group);
    config
        .set("group.instance.id", instance)
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "2000")
        .set("heartbeat.interval.ms", "500")
        // Heartbeats come from librdkafka's own thread: this is what ends the membership of a
        // process that hangs.
        .set("max.poll.interval.ms", stall_limit.as_millis().to_string())
        // A broker that does not answer must not hold the thread for a minute.
        .set("socket.timeout.ms", "5000")
        // It reads nothing; this keeps few the records that slip in before the pause.
        .set("queued.min.messages", "1")
        .set("auto.offset.reset", "latest");
    config
}

impl Member {
    /// A member that has not joined yet.
    pub fn new(topic: &'static str, machine: &'static str, board: Arc<Board>, metrics: RunnerMetrics) -> Self {
        Self {
            topic,
            machine,
            board,
            metrics,
            joined: AtomicBool::new(false),
            fenced: AtomicBool::new(false),
            committed: Mutex::default(),
        }
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) {
        // An explicit offset, so that nothing is looked up; paused at once, so that nothing is read.
        let outcome = list
            .set_all_offsets(Offset::Offset(0))
            .and_then(|()| consumer.incremental_assign(list))
            .and_then(|()| consumer.pause(list));
        if let Err(error) = outcome {
            tracing::error!(machine = self.machine, %error, "taking partitions");
        }
        let partitions = numbers(list);
        self.board.want(&partitions);
        self.joined.store(true, Ordering::Release);
        tracing::info!(machine = self.machine, ?partitions, "partitions assigned");
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let partitions = numbers(list);
        let lost = consumer.assignment_lost();
        self.board.unwant(&partitions);
        let deadline = Instant::now() + RELEASE_LIMIT;
        while self.board.is_held(&partitions) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        if lost {
            // The broker would refuse; the next owner sends a little more once again.
            self.joined.store(false, Ordering::Release);
        } else {
            self.commit(consumer, &partitions);
        }
        if let Err(error) = consumer.incremental_unassign(list) {
            tracing::error!(machine = self.machine, %error, "giving partitions up");
        }
        self.board.forget_released();
        tracing::info!(machine = self.machine, ?partitions, lost, "partitions revoked");
    }

    /// Commits what is acknowledged and not committed yet, with the member's generation: of the
    /// partitions that it owns, and of those that it is giving up. Returns false when the broker
    /// refused or did not answer.
    pub fn commit(&self, consumer: &BaseConsumer<Self>, given_up: &[i32]) -> bool {
        let progresses = self.board.progresses(given_up);
        let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        committed.retain(|partition, _| progresses.iter().any(|(present, ..)| present == partition));
        let mut list = TopicPartitionList::new();
        for (partition, assignment, _, committable) in &progresses {
            let current = committed.entry(*partition).or_insert_with(|| Committed {
                assignment: *assignment,
                offset: -1,
                complete_at: now,
                metrics: self.metrics.partition(*partition),
            });
            if current.assignment != *assignment {
                (current.assignment, current.offset) = (*assignment, -1);
            }
            if *committable > current.offset
                && let Err(error) = list.add_partition_offset(self.topic, *partition, Offset::Offset(*committable))
            {
                tracing::error!(machine = self.machine, partition, %error, "an offset cannot be committed");
            }
        }
        let mut done = true;
        if list.count() > 0 {
            match native::commit(consumer, &list, COMMIT_LIMIT) {
                Ok(()) => {
                    for element in list.elements() {
                        if let (Some(current), Offset::Offset(offset)) =
                            (committed.get_mut(&element.partition()), element.offset())
                        {
                            current.offset = offset;
                        }
                    }
                }
                Err(error) => {
                    done = false;
                    self.commit_failed(error);
                }
            }
        }
        for (partition, _, position, _) in progresses {
            if let Some(current) = committed.get_mut(&partition) {
                if current.offset >= position {
                    current.complete_at = now;
                }
                let age = now.saturating_duration_since(current.complete_at);
                set_seconds(&current.metrics.commit_age, age);
            }
        }
        done
    }

    fn commit_failed(&self, error: RDKafkaErrorCode) {
        use RDKafkaErrorCode::{FencedInstanceId, IllegalGeneration, RebalanceInProgress, UnknownMemberId};
        match error {
            FencedInstanceId => self.fenced.store(true, Ordering::Release),
            // It is tried again once the group has settled, or the partitions go to another process.
            IllegalGeneration | RebalanceInProgress | UnknownMemberId => {
                tracing::info!(machine = self.machine, %error, "a commit waits for the group to settle");
            }
            _ => tracing::warn!(machine = self.machine, %error, "a commit failed; it is tried again"),
        }
    }

    /// Whether it is a member of the group, with or without partitions.
    pub fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Acquire)
    }

    /// Whether another process took its name over.
    pub fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::Acquire)
    }
}

fn numbers(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(|element| element.partition()).collect()
}

impl ClientContext for Member {
    fn error(&self, error: KafkaError, reason: &str) {
        Complaining.error(error, reason);
    }
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.metrics.rebalances.inc();
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assigned(consumer, list),
            _ => self.revoked(consumer, list),
        }
    }
}
