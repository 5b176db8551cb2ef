//! A partition that waits for a schema. One that is only away is waited for; what the registry denies is
//! passed once that was decided, and never skipped before.

use std::time::{Duration, Instant};

use brokerx_schemas::PassedOffset;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::codec::{Codec, CodecError};
use crate::passes::{Passes, Word, hint, undecided};
use crate::service::clock::now_us;
use crate::service::{Backoff, backoff};

/// A registry that does not answer within this is away.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// A registry that denies a schema for so long is believed: one that was registered this moment may not
/// be everywhere yet.
const DENIAL_PATIENCE: Duration = Duration::from_secs(5);

/// The record that waits.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The machine that reads it.
    pub machine: &'static str,
    /// Where it stands.
    pub topic: &'static str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Whether it is a client's, so that the runner itself may decide that it is passed.
    pub may_decide: bool,
    /// Whether it waits for the schema of a decision about it, not for its own.
    pub is_of_decision: bool,
}

/// Why it still waits.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In words.
    pub reason: String,
    /// Whether the registry answered that there is no such schema.
    pub is_denied: bool,
}

/// Asks the registry for one schema, in the background and with back-off, until it has it or the record is
/// passed.
#[derive(Debug)]
pub struct SchemaWait {
    schema_id: u32,
    place: Place,
    passes: Passes,
    retry_at: Instant,
    backoff: Backoff,
    denied_since: Option<Instant>,
    answer: Option<oneshot::Receiver<Result<(), Refusal>>>,
}

impl SchemaWait {
    /// Begins to wait.
    pub fn new(schema_id: u32, place: Place, passes: Passes, now: Instant) -> Self {
        Self {
            schema_id,
            place,
            passes,
            retry_at: now,
            backoff: backoff(),
            denied_since: None,
            answer: None,
        }
    }

    /// Whether the record can be taken now, used or passed; none while nothing is new, else the last refusal.
    pub fn poll(&mut self, now: Instant, codec: &Codec, runtime: &Handle) -> Option<Result<(), Refusal>> {
        let Some(answer) = &mut self.answer else {
            if now >= self.retry_at {
                let denied_for = self.denied_since.map(|since| now.saturating_duration_since(since));
                let decides = self.place.may_decide && denied_for.is_some_and(|time| time >= DENIAL_PATIENCE);
                let question = Question {
                    schema_id: self.schema_id,
                    place: self.place,
                    decides,
                };
                self.answer = Some(question.ask(codec.clone(), self.passes.clone(), runtime));
            }
            return None;
        };
        let answer = match answer.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => return None,
            Err(oneshot::error::TryRecvError::Closed) => Err(Refusal {
                reason: "the question was dropped".to_owned(),
                is_denied: false,
            }),
            Ok(answer) => answer,
        };
        self.answer = None;
        self.retry_at = now + self.backoff.next();
        match &answer {
            Err(refusal) if refusal.is_denied => {
                self.denied_since.get_or_insert(now);
            }
            _ => self.denied_since = None,
        }
        Some(answer)
    }
}

struct Question {
    schema_id: u32,
    place: Place,
    /// Whether the registry has denied it long enough, and the runner may decide.
    decides: bool,
}

impl Question {
    fn ask(self, codec: Codec, passes: Passes, runtime: &Handle) -> oneshot::Receiver<Result<(), Refusal>> {
        let (report, answer) = oneshot::channel();
        runtime.spawn(async move {
            let resolved = tokio::time::timeout(ANSWER_LIMIT, self.resolve(&codec, &passes)).await;
            // Nobody listens any more when the partition went away.
            let _ = report.send(resolved.unwrap_or_else(|_| Err(away("it does not answer in time".to_owned()))));
        });
        answer
    }

    async fn resolve(&self, codec: &Codec, passes: &Passes) -> Result<(), Refusal> {
        let Place {
            machine,
            topic,
            partition,
            offset,
            is_of_decision,
            ..
        } = self.place;
        let resolved = codec.resolve(self.schema_id).await;
        // Also when the schema is there by now: what somebody else has passed is passed.
        let looked = passes.look(topic, partition, offset).await;
        if looked.map_err(|error| away(format!("{error:#}")))? {
            return Ok(());
        }
        if is_of_decision {
            return match passes.word(topic, partition, offset) {
                Word::Undecided { decision, schema_id } => Err(Refusal {
                    reason: undecided(decision, schema_id),
                    is_denied: matches!(resolved, Err(CodecError::NoSuchSchema { .. })),
                }),
                _ => Ok(()),
            };
        }
        match resolved {
            Ok(()) => Ok(()),
            Err(error @ CodecError::NoSuchSchema { .. }) if self.decides => {
                let passed = PassedOffset {
                    topic: topic.to_owned(),
                    partition,
                    offset,
                    reason: error.to_string(),
                    decided_by: machine.to_owned(),
                    decided_us: now_us(),
                };
                tracing::error!(topic, partition, offset, %error, "a client's record is passed");
                passes.record(passed).await.map_err(|error| away(format!("{error:#}")))
            }
            Err(error @ CodecError::NoSuchSchema { .. }) => Err(Refusal {
                reason: format!("{error}; {}", hint(topic, partition, offset)),
                is_denied: true,
            }),
            Err(error) => Err(away(error.to_string())),
        }
    }
}

fn away(reason: String) -> Refusal {
    Refusal {
        reason,
        is_denied: false,
    }
}
