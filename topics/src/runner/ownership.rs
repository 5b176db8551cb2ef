//! The thread that knows which partitions this process owns, and commits for them.
//!
//! It is a member of the machine's consumer group and reads no data. It is polled only while the
//! apply threads make progress: a process that hangs loses its partitions instead of holding them.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::RunnerError;
use super::board::Board;
use super::member::Member;
use super::metrics::RunnerMetrics;
use crate::service::{Check, Drained, kafka};

/// How long one poll of the group waits.
const POLL: Duration = Duration::from_millis(100);
/// A poll waits at least so long.
const POLL_LEAST: Duration = Duration::from_millis(10);
/// An apply thread without progress for this long keeps the group from being polled.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause after a commit that failed: the group's events come first.
const COMMIT_PAUSE: Duration = Duration::from_secs(1);
/// How much longer than the time to stop the threads get before they are left alone.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// The ownership thread.
pub struct Ownership {
    /// The member of the group.
    pub consumer: Drained<BaseConsumer<Member>>,
    /// What the threads tell each other.
    pub board: Arc<Board>,
    /// Ready when every owned partition is live.
    pub check: Check,
    /// The apply threads.
    pub threads: Vec<JoinHandle<Result<(), RunnerError>>>,
    /// Between commits.
    pub commit_interval: Duration,
    /// Its name in the group.
    pub instance: String,
    /// The machine's metrics.
    pub metrics: RunnerMetrics,
}

impl Ownership {
    /// Runs until the runner is asked to stop or cannot go on.
    ///
    /// # Errors
    /// As [`super::RunnerHandle::stopped`].
    pub fn run(mut self) -> Result<(), RunnerError> {
        let ended = self.serve();
        // Whatever ended it, the other threads stop too; a stop that was asked for keeps its time
        // limit.
        let deadline = match &ended {
            Ok(()) => self.board.stop_at().unwrap_or_else(Instant::now),
            Err(_) => Instant::now(),
        };
        self.board.stop_by(deadline);
        self.check.set(false, "stopped");
        let stopped = self.stop(deadline);
        ended?;
        stopped?;
        match self.board.stopped() {
            stopped if stopped.is_empty() => Ok(()),
            stopped => Err(RunnerError::PartitionsStopped(stopped)),
        }
    }

    fn serve(&mut self) -> Result<(), RunnerError> {
        let mut watch = StallWatch::default();
        let mut stalled = false;
        let mut commit_at = Instant::now();
        while self.board.stop_at().is_none() {
            if self.threads.iter().any(JoinHandle::is_finished) {
                return Err(RunnerError::ThreadEnded);
            }
            let progress = watch.is_progressing(self.board.beats(), Instant::now());
            if stalled == progress {
                stalled = !progress;
                if stalled {
                    self.metrics.stalls.inc();
                    tracing::error!("an apply thread makes no progress: the group membership is left to lapse");
                }
            }
            if stalled {
                std::thread::sleep(POLL);
            } else {
                // No longer than to the next commit, which is not to come late by a poll.
                let until_commit = commit_at.saturating_duration_since(Instant::now());
                self.poll(kafka::poll_time(until_commit.clamp(POLL_LEAST, POLL)))?;
            }
            let now = Instant::now();
            if now >= commit_at {
                let done = self.consumer.context().commit(&self.consumer, &[]);
                commit_at = Instant::now() + if done { self.commit_interval } else { COMMIT_PAUSE };
                self.board.forget_released();
            }
            self.report_health(stalled);
        }
        Ok(())
    }

    fn poll(&self, wait: Duration) -> Result<(), RunnerError> {
        match self.consumer.poll(wait) {
            // A record that slipped in before the pause: data is read elsewhere.
            None | Some(Ok(_)) => {}
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                return Err(match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::FencedInstanceId) => self.fenced(),
                    _ => RunnerError::Kafka(error.to_string()),
                });
            }
            Some(Err(error)) => tracing::warn!(%error, "the group membership"),
        }
        if self.consumer.context().is_fenced() {
            return Err(self.fenced());
        }
        Ok(())
    }

    fn fenced(&self) -> RunnerError {
        RunnerError::Fenced {
            instance: self.instance.clone(),
        }
    }

    fn report_health(&self, stalled: bool) {
        if stalled {
            return self.check.set(false, "an apply thread makes no progress");
        }
        if !self.consumer.context().has_joined() {
            return self.check.set(false, "not a member of the consumer group");
        }
        let (ready, why) = self.board.health();
        self.check.set(ready, &why);
    }

    /// Waits for the apply threads, commits what they had acknowledged and leaves. A static member
    /// sends no LeaveGroup: it may come back within its session without a rebalance.
    fn stop(&mut self, deadline: Instant) -> Result<(), RunnerError> {
        let patience = deadline.max(Instant::now()) + STOP_GRACE;
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            if Instant::now() >= patience {
                return Err(RunnerError::StopTimedOut);
            }
            // Fails when the member was fenced; then there is nothing to keep.
            let _ = self.poll(POLL_LEAST);
        }
        self.consumer.context().commit(&self.consumer, &[]);
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| RunnerError::ThreadEnded)??;
        }
        Ok(())
    }
}

/// Whether every apply thread makes progress.
#[derive(Debug, Default)]
struct StallWatch {
    /// Last beat of each thread, and when it changed.
    last: Vec<(u64, Instant)>,
}

impl StallWatch {
    fn is_progressing(&mut self, beats: impl Iterator<Item = u64>, now: Instant) -> bool {
        let mut progressing = true;
        for (thread, beat) in beats.enumerate() {
            if self.last.len() == thread {
                self.last.push((beat, now));
            }
            let (last, changed_at) = &mut self.last[thread];
            if *last != beat {
                (*last, *changed_at) = (beat, now);
            }
            progressing &= now.saturating_duration_since(*changed_at) < PATIENCE;
        }
        progressing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_that_hangs_is_enough_for_a_stall() {
        let start = Instant::now();
        let mut watch = StallWatch::default();
        assert!(watch.is_progressing([1, 1].into_iter(), start));
        let later = start + PATIENCE;
        assert!(!watch.is_progressing([2, 1].into_iter(), later));
        assert!(watch.is_progressing([3, 2].into_iter(), later));
    }
}
