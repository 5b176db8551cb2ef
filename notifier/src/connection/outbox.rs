//! The bounded queue of what waits to be sent to one connection. A connection that lets it fill up is slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use tokio::sync::{Notify, mpsc};

use crate::private::Happened;
use crate::protocol::Answer;
use crate::telemetry::ChannelKind;

/// Names a connection within the process.
pub type ConnectionId = u64;

/// What the readers hand to connections.
#[derive(Clone, Debug)]
pub enum Push {
    /// An event of the connection's account.
    Account(Arc<Happened>),
    /// A message of the market, the same for everybody.
    Market(Outgoing),
}

/// A message to a client.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The JSON text.
    pub text: Utf8Bytes,
    /// The channel of a push; none for an answer.
    pub channel: Option<ChannelKind>,
    /// For a push of something that has just happened: when, microseconds since the epoch.
    pub occurred_us: Option<i64>,
}

impl Outgoing {
    /// A push of something that has just happened, at `occurred_us`.
    pub fn live(channel: ChannelKind, body: &impl Serialize, occurred_us: i64) -> Self {
        Self {
            occurred_us: Some(occurred_us),
            ..Self::past(channel, body)
        }
    }

    /// A push of something that happened some time ago.
    pub fn past(channel: ChannelKind, body: &impl Serialize) -> Self {
        Self {
            text: json(body),
            channel: Some(channel),
            occurred_us: None,
        }
    }
}

impl From<Answer<'_>> for Outgoing {
    fn from(answer: Answer<'_>) -> Self {
        Self {
            text: json(&answer),
            channel: None,
            occurred_us: None,
        }
    }
}

fn json(body: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(body)
        .expect("the bodies of the protocol have text keys and plain values")
        .into()
}

/// The sending end of a connection's queue.
#[derive(Clone, Debug)]
pub struct Outbox {
    id: ConnectionId,
    queue: mpsc::Sender<Push>,
    slow: Arc<Slow>,
}

/// Whether a connection is too slow.
#[derive(Debug, Default)]
pub struct Slow {
    is_slow: AtomicBool,
    told: Notify,
}

impl Outbox {
    /// A queue of at most `messages_max` messages.
    pub fn new(id: ConnectionId, messages_max: usize) -> (Self, mpsc::Receiver<Push>, Arc<Slow>) {
        let (queue, receiver) = mpsc::channel(messages_max);
        let slow = Arc::new(Slow::default());
        (
            Self {
                id,
                queue,
                slow: Arc::clone(&slow),
            },
            receiver,
            slow,
        )
    }

    /// The connection.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Queues a message; never waits. When the queue is full the message is lost and the connection
    /// marked as slow, which ends it.
    pub fn send(&self, push: Push) {
        // A queue that is closed needs nothing: a connection that ends removes itself from the lists.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(push)
            && !self.slow.is_slow.swap(true, Ordering::Relaxed)
        {
            self.slow.told.notify_one();
        }
    }
}

impl Slow {
    /// Waits until the connection is too slow.
    pub async fn wait(&self) {
        if !self.is_slow.load(Ordering::Relaxed) {
            self.told.notified().await;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_marks_the_connection() {
        let (outbox, mut queue, slow) = Outbox::new(1, 2);
        let push = || Push::Market(Answer::Pong.into());
        outbox.send(push());
        outbox.send(push());
        assert!(!slow.is_slow.load(Ordering::Relaxed));
        outbox.send(push());
        outbox.send(push());
        slow.wait().await;
        slow.wait().await;
        let mut left = Vec::new();
        assert_eq!(queue.recv_many(&mut left, 10).await, 2);
    }
}
