//! What all connections share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use brokerx_identity::Revocations;
use brokerx_identity::tokens::Verifier;
use brokerx_schemas::AccountId;
use brokerx_topics::service::{Places, Shutdown};

use crate::acks::Acks;
use crate::market::Market;
use crate::private::{Accounts, History};
use crate::telemetry::FeedMetrics;

/// The limits of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Channels of one connection.
    pub subscriptions_max: usize,
    /// Messages that may wait.
    pub queue_messages_max: usize,
    /// Bytes of one message from the client.
    pub message_bytes_max: usize,
    /// Messages of the client per second in the long run.
    pub messages_per_second: u32,
    /// Messages of the client at once.
    pub messages_burst: u32,
    /// How often a connection gets a ping.
    pub ping: Duration,
    /// How long a connection may say nothing, not even a pong.
    pub idle: Duration,
}

/// What all connections share.
pub struct Feed {
    /// The private events.
    pub accounts: Arc<Accounts>,
    /// The past of the private events.
    pub history: Arc<History>,
    /// The market.
    pub market: Arc<Market>,
    /// Checks tokens.
    pub tokens: Verifier,
    /// Tokens that are not accepted any more.
    pub revocations: Revocations,
    /// Takes acknowledgements.
    pub acks: Arc<Acks>,
    /// What is counted.
    pub metrics: FeedMetrics,
    /// Whether a token may stand in the WebSocket's address.
    pub token_in_query: bool,
    /// The limits of a connection.
    pub limits: Limits,
    /// The connections of each account.
    pub account_places: Places<AccountId>,
    /// The id of the next connection.
    pub next_id: AtomicU64,
    /// When to stop.
    pub shutdown: Shutdown,
}
