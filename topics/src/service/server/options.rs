//! The limits of a server that strangers can reach.

use std::time::Duration;

use ipnet::IpNet;

use crate::service::source::network;

/// What connections may take of a server.
#[derive(clap::Args, Clone, Debug)]
pub struct ServerOptions {
    /// Connections at once; further ones get 503. No more than the system's limit of open files allows
    #[arg(long, env = "BROKERX_CONNECTIONS_MAX", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_max: u32,
    /// Connections of one address (IPv6: of one /64) at once; further ones get 503. Those of trusted proxies do not count
    #[arg(long, env = "BROKERX_CONNECTIONS_PER_ADDRESS_MAX", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_per_address_max: u32,
    /// How long a client may take to send the head of a request, seconds
    #[arg(long, env = "BROKERX_HEAD_SECONDS_MAX", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub head_seconds_max: u64,
    /// How long a connection is kept for a next request, seconds; longer than a proxy in front keeps it
    #[arg(long, env = "BROKERX_KEEP_ALIVE_SECONDS_MAX", default_value_t = 75, value_parser = clap::value_parser!(u64).range(1..))]
    pub keep_alive_seconds_max: u64,
    /// How long a client may take nothing of what is written to it, seconds
    #[arg(long, env = "BROKERX_WRITE_SECONDS_MAX", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub write_seconds_max: u64,
    /// Proxies whose X-Forwarded-For is believed: addresses or networks such as `10.0.0.0/8`, separated by commas
    #[arg(long, env = "BROKERX_TRUSTED_PROXIES", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,
}

/// [`ServerOptions`] as a server keeps them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections_max: usize,
    /// Connections of one address at once.
    pub connections_per_address_max: usize,
    /// From the first byte of a request's head, or the beginning of the connection, to the end of the head.
    pub head: Duration,
    /// From an answer to the first byte of the next request.
    pub keep_alive: Duration,
    /// How long a write may make no progress.
    pub write: Duration,
    /// Proxies that speak for others.
    pub trusted_proxies: Vec<IpNet>,
}

impl From<&ServerOptions> for Limits {
    fn from(options: &ServerOptions) -> Self {
        Self {
            connections_max: options.connections_max as usize,
            connections_per_address_max: options.connections_per_address_max as usize,
            head: Duration::from_secs(options.head_seconds_max),
            keep_alive: Duration::from_secs(options.keep_alive_seconds_max),
            write: Duration::from_secs(options.write_seconds_max),
            trusted_proxies: options.trusted_proxies.clone(),
        }
    }
}

impl Limits {
    /// For a server that only those who run the system can reach: metrics and health.
    pub fn for_operation() -> Self {
        Self {
            connections_max: 512,
            connections_per_address_max: 512,
            head: Duration::from_secs(5),
            keep_alive: Duration::from_secs(75),
            write: Duration::from_secs(10),
            trusted_proxies: Vec::new(),
        }
    }
}
