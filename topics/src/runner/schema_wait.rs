//! A partition that waits for a schema: an unknown or unreachable one blocks, it never skips.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::codec::Codec;
use crate::service::{Backoff, backoff};

/// A registry that does not answer within this is away.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Asks the registry for one schema, in the background and with back-off, until it has it.
#[derive(Debug)]
pub struct SchemaWait {
    schema_id: u32,
    retry_at: Instant,
    backoff: Backoff,
    answer: Option<oneshot::Receiver<Result<(), String>>>,
}

impl SchemaWait {
    /// Begins to wait.
    pub fn new(schema_id: u32, now: Instant) -> Self {
        Self {
            schema_id,
            retry_at: now,
            backoff: backoff(),
            answer: None,
        }
    }

    /// Whether the schema is there now; none while nothing is new, else the registry's last refusal.
    pub fn poll(&mut self, now: Instant, codec: &Codec, runtime: &Handle) -> Option<Result<(), String>> {
        let Some(answer) = &mut self.answer else {
            if now >= self.retry_at {
                self.answer = Some(ask(self.schema_id, codec.clone(), runtime));
            }
            return None;
        };
        let answer = match answer.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => return None,
            Err(oneshot::error::TryRecvError::Closed) => Err("the question was dropped".to_owned()),
            Ok(answer) => answer,
        };
        self.answer = None;
        self.retry_at = now + self.backoff.next();
        Some(answer.map_err(|reason| format!("schema {}: {reason}", self.schema_id)))
    }
}

fn ask(schema_id: u32, codec: Codec, runtime: &Handle) -> oneshot::Receiver<Result<(), String>> {
    let (report, answer) = oneshot::channel();
    runtime.spawn(async move {
        let resolved = match tokio::time::timeout(ANSWER_LIMIT, codec.resolve(schema_id)).await {
            Ok(resolved) => resolved.map_err(|error| error.to_string()),
            Err(_) => Err("the registry does not answer".to_owned()),
        };
        // Nobody listens any more when the partition went away.
        let _ = report.send(resolved);
    });
    answer
}
