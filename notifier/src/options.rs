//! The configuration, from the command line or the environment.

use std::net::SocketAddr;

use brokerx_identity::keys::PublicKey;
use brokerx_market::MarketOptions;
use brokerx_topics::service::{PlatformOptions, ServerOptions, ServiceOptions};

use crate::mail::MailOptions;

/// Where the notifier listens unless told otherwise.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:8090";

/// The WebSocket feed and the mails of BrokerX.
#[derive(clap::Parser, Clone, Debug)]
#[command(version, about)]
pub struct Options {
    /// What to do; the notifier itself when it is not given.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Instance, address, logs.
    #[command(flatten)]
    pub service: ServiceOptions,
    /// Kafka and the registry.
    #[command(flatten)]
    pub platform: PlatformOptions,
    /// How the market is kept.
    #[command(flatten)]
    pub market: MarketOptions,
    /// What connections may take.
    #[command(flatten)]
    pub server: ServerOptions,
    /// Address at which `/metrics`, `/health` and `/ready` answer even when the feed has no place left; port 0 takes any free one
    #[arg(long, env = "BROKERX_ADMIN_LISTEN", default_value = "127.0.0.1:8095")]
    pub admin_listen: SocketAddr,
    /// PostgreSQL; the schemas `identity` (written by the ingress) and `projection` (by settlement) are read
    #[arg(long, env = "BROKERX_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Most connections to PostgreSQL
    #[arg(long, env = "BROKERX_DATABASE_CONNECTIONS_MAX", default_value_t = 10, value_parser = clap::value_parser!(u32).range(3..))]
    pub database_connections_max: u32,
    /// Key that tokens are checked with, which belongs to the ingress's secret one: what `brokerx-operator token-key` prints
    #[arg(long, env = "BROKERX_JWT_PUBLIC_KEY")]
    pub jwt_public_key: PublicKey,
    /// Mails.
    #[command(flatten)]
    pub mail: MailOptions,
    /// Channels that one connection may subscribe to, 1 to 500
    #[arg(long, env = "BROKERX_SUBSCRIPTIONS_MAX", default_value_t = 100, value_parser = subscriptions)]
    pub subscriptions_max: usize,
    /// Messages that may wait for one connection, 1,000 to 1,000,000; a connection with more is closed
    #[arg(long, env = "BROKERX_QUEUE_MESSAGES_MAX", default_value_t = 4_096, value_parser = queue_length)]
    pub queue_messages_max: usize,
    /// Largest message of a client, bytes
    #[arg(long, env = "BROKERX_MESSAGE_BYTES_MAX", default_value_t = 16 * 1024)]
    pub message_bytes_max: usize,
    /// Messages of one client per second in the long run; further ones are refused, and too many refusals close the connection
    #[arg(long, env = "BROKERX_MESSAGES_PER_SECOND_MAX", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub messages_per_second_max: u32,
    /// Messages of one client at once
    #[arg(long, env = "BROKERX_MESSAGES_BURST_MAX", default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..))]
    pub messages_burst_max: u32,
    /// Connections of one account at once; a further one is refused when it authenticates
    #[arg(long, env = "BROKERX_CONNECTIONS_PER_ACCOUNT_MAX", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_per_account_max: u32,
    /// Accept a token in the WebSocket's address too; proxies write addresses into their logs
    #[arg(long, env = "BROKERX_TOKEN_IN_QUERY", default_value_t = false)]
    pub token_in_query: bool,
    /// A connection that is silent gets a ping this often, seconds
    #[arg(long, env = "BROKERX_PING_SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub ping_seconds: u64,
    /// A connection that does not answer is closed after this, seconds
    #[arg(long, env = "BROKERX_IDLE_SECONDS_MAX", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub idle_seconds_max: u64,
    /// How often throttled channels are pushed, milliseconds
    #[arg(long, env = "BROKERX_THROTTLE_MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..))]
    pub throttle_ms: u64,
}

/// What the notifier can do besides.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Deliver mails once more, now: those whose dead letters name these ids
    SendMail(SendMail),
}

/// Which mails to deliver.
#[derive(clap::Args, Clone, Debug)]
pub struct SendMail {
    /// The ids, as the reasons of the dead letters name them
    #[arg(required = true)]
    pub mail_ids: Vec<i64>,
}

impl AsRef<ServiceOptions> for Options {
    fn as_ref(&self) -> &ServiceOptions {
        &self.service
    }
}

fn subscriptions(text: &str) -> Result<usize, String> {
    within(text, 1, 500)
}

/// Parses the length of a queue, which must have room for the first message of every channel of a connection.
fn queue_length(text: &str) -> Result<usize, String> {
    within(text, 1_000, 1_000_000)
}

fn within(text: &str, min: usize, max: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("is {min} to {max}")),
    }
}
