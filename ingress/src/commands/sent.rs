//! A command that was sent, until its request has an outcome, gives up or is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brokerx_schemas::{AccountId, CommandId, Reply};
use brokerx_topics::service::Delivery;

use super::pending::{Later, Waiting};
use super::told::Told;
use crate::telemetry::CommandMetrics;

/// What came of a command within the limit.
#[derive(Debug)]
pub enum Outcome {
    /// The outcome has come.
    Replied(Box<Reply>),
    /// No outcome yet; the command may still be applied until its deadline.
    Late,
}

/// What came of an operator's command within the limit.
#[derive(Debug)]
pub enum End {
    /// The outcome has come.
    Replied(Box<Reply>),
    /// No outcome yet; it is looked out for. None when there is nothing that could come.
    Late(Option<Later>),
}

/// A command on its way. Dropped without an outcome, as the request of a client that hangs up is, it is as late
/// as one that was waited for in vain: its place is given back, it is counted, and of an order it is noted that
/// it has no outcome yet.
#[derive(Debug)]
pub struct Sent {
    pub(super) command_id: CommandId,
    /// None once there is an outcome, or nobody waits any more.
    pub(super) waiting: Option<Waiting>,
    /// The account and, of an order, the id that its client gave it.
    pub(super) of: Option<(AccountId, Option<String>)>,
    pub(super) sent: Instant,
    pub(super) told: Arc<Told>,
    pub(super) metrics: CommandMetrics,
}

impl Sent {
    /// Waits for the outcome, so long at most.
    pub(super) async fn outcome(mut self, delivery: Delivery, limit: Duration) -> Outcome {
        let reply = self.within(delivery, limit).await.or_else(|| self.give_up());
        self.metrics.reply_seconds.observe(self.sent.elapsed().as_secs_f64());
        reply.map_or(Outcome::Late, Outcome::Replied)
    }

    /// As [`Sent::outcome`], but an outcome that comes later is looked out for.
    pub(super) async fn end(mut self, delivery: Delivery, limit: Duration) -> End {
        let end = match self.within(delivery, limit).await {
            Some(reply) => End::Replied(reply),
            None => {
                self.metrics.late.inc();
                End::Late(self.waiting.take().map(Waiting::look_out))
            }
        };
        self.metrics.reply_seconds.observe(self.sent.elapsed().as_secs_f64());
        end
    }

    /// The outcome, if it comes within the limit; then nobody waits any more.
    async fn within(&mut self, delivery: Delivery, limit: Duration) -> Option<Box<Reply>> {
        let reply = tokio::time::timeout(limit, self.reply(delivery)).await.ok()??;
        self.waiting = None;
        self.tell(&reply);
        Some(reply)
    }

    async fn reply(&mut self, delivery: Delivery) -> Option<Box<Reply>> {
        let waiting = self.waiting.as_mut()?;
        tokio::select! {
            biased;
            reply = waiting.reply() => return reply,
            // A delivery that failed is only counted: its outcome is unknown, so the request waits on.
            delivered = delivery.delivered() => if delivered.is_err() {
                self.metrics.undelivered.inc();
                tracing::error!(command_id = %self.command_id, "a command was not delivered");
            },
        }
        waiting.reply().await
    }

    /// Waits no longer. Returns an outcome that has come all the same.
    fn give_up(&mut self) -> Option<Box<Reply>> {
        let waiting = self.waiting.take()?;
        if let Some((account_id, Some(client_order_id))) = &self.of {
            self.told.late(*account_id, client_order_id.clone(), self.command_id);
        }
        // It may have come while that was written down.
        let Some(reply) = waiting.leave() else {
            self.metrics.late.inc();
            return None;
        };
        self.told.came_late(&reply);
        self.tell(&reply);
        Some(reply)
    }

    fn tell(&self, reply: &Reply) {
        if let Some((account_id, client_order_id)) = &self.of {
            self.told.outcome(*account_id, client_order_id.as_ref(), reply);
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.give_up();
    }
}
