//! The configuration, from the command line or the environment.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::HeaderValue;
use brokerx_identity::keys::SecretKey;
use brokerx_market::MarketOptions;
use brokerx_schemas::Config;
use brokerx_topics::service::{PlatformOptions, ServerOptions, ServiceOptions};

use crate::housekeeping::Retention;
use crate::sessions::Limits;

/// Where the ingress listens unless told otherwise.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:8080";

/// The HTTP API of BrokerX.
#[derive(clap::Parser, Clone, Debug)]
#[command(version, about)]
pub struct Options {
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
    /// Address at which `/metrics`, `/health` and `/ready` answer even when the API has no place left; port 0 takes any free one
    #[arg(long, env = "BROKERX_ADMIN_LISTEN", default_value = "127.0.0.1:8094")]
    pub admin_listen: SocketAddr,
    /// PostgreSQL, with the schemas `identity` (written here) and `projection` (written by settlement)
    #[arg(long, env = "BROKERX_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Most connections to PostgreSQL; half of them serve trades and candles, which anybody may read
    #[arg(long, env = "BROKERX_DATABASE_CONNECTIONS_MAX", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub database_connections_max: u32,
    /// Key that signs tokens: hexadecimal, at least 32 bytes; the notifier needs the public one that belongs to it
    #[arg(long, env = "BROKERX_JWT_KEY", hide_env_values = true)]
    pub jwt_key: SecretKey,
    /// Key that signs links in mails: hexadecimal, at least 32 bytes; the notifier needs the same
    #[arg(long, env = "BROKERX_MAIL_KEY", hide_env_values = true)]
    pub mail_key: SecretKey,
    /// The partition of `replies` that this instance reads, 0 to 63; each instance needs its own
    #[arg(long, env = "BROKERX_REPLY_PARTITION", default_value_t = 0)]
    pub reply_partition: i32,
    /// How long a request waits for the outcome of its command before it is answered with 202, milliseconds
    #[arg(long, env = "BROKERX_REPLY_MS_MAX", default_value_t = 3_000)]
    pub reply_ms_max: u64,
    /// How long after its arrival a command may still be applied, milliseconds
    #[arg(long, env = "BROKERX_DEADLINE_MS", default_value_t = 5_000)]
    pub deadline_ms: u64,
    /// How many requests may wait for an outcome at once; further ones get 503
    #[arg(long, env = "BROKERX_WAITING_MAX", default_value_t = 10_000)]
    pub waiting_max: usize,
    /// How long a read waits for what its consistency token asks for, milliseconds
    #[arg(long, env = "BROKERX_CONSISTENCY_MS_MAX", default_value_t = 1_000)]
    pub consistency_ms_max: u64,
    /// How long any request may take, milliseconds
    #[arg(long, env = "BROKERX_REQUEST_MS_MAX", default_value_t = 10_000)]
    pub request_ms_max: u64,
    /// Largest body of a request, bytes
    #[arg(long, env = "BROKERX_BODY_BYTES_MAX", default_value_t = 64 * 1024)]
    pub body_bytes_max: usize,
    /// Requests per second of one address in the long run
    #[arg(long, env = "BROKERX_ADDRESS_RATE", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub address_rate: u32,
    /// Requests of one address at once
    #[arg(long, env = "BROKERX_ADDRESS_BURST", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub address_burst: u32,
    /// Requests per second of one client or operator in the long run
    #[arg(long, env = "BROKERX_CLIENT_RATE", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub client_rate: u32,
    /// Requests of one client or operator at once
    #[arg(long, env = "BROKERX_CLIENT_BURST", default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub client_burst: u32,
    /// Commands (orders, their changes, payments) of one client on one UTC day and this instance: each is kept in a log for ever. Cancels have a share of their own, twice as large
    #[arg(long, env = "BROKERX_COMMANDS_PER_DAY", default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub commands_per_day: u32,
    /// Origins of web pages that may call the API, separated by commas, such as `https://app.example.com`
    #[arg(long, env = "BROKERX_CORS_ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<HeaderValue>,
    /// How long a token is good for, seconds; a year at most
    #[arg(long, env = "BROKERX_TOKEN_SECONDS", default_value_t = 24 * 60 * 60, value_parser = clap::value_parser!(i64).range(1..=366 * 24 * 60 * 60))]
    pub token_seconds: i64,
    /// Registrations of one address (IPv6: one /64) at once
    #[arg(long, env = "BROKERX_REGISTRATION_BURST", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub registration_burst: u32,
    /// After that, seconds for each further registration of the address
    #[arg(long, env = "BROKERX_REGISTRATION_SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=24 * 60 * 60))]
    pub registration_seconds: u32,
    /// Passwords of registrations that are hashed at the same time
    #[arg(long, env = "BROKERX_REGISTRATION_THREADS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub registration_threads: u32,
    /// Passwords of log-ins that are checked at the same time: each takes a core and 19 MiB for some 20 ms
    #[arg(long, env = "BROKERX_PASSWORD_THREADS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub password_threads: u32,
    /// Wrong passwords for one e-mail from one address within the window, before tries are refused
    #[arg(long, env = "BROKERX_LOGIN_FAILURES_MAX", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub login_failures_max: u32,
    /// Wrong passwords from one address (IPv6: one /64) within the window, before tries are refused; many clients may share an address
    #[arg(long, env = "BROKERX_LOGIN_FAILURES_PER_ADDRESS_MAX", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub login_failures_per_address_max: u32,
    /// Wrong passwords for one e-mail from all addresses within the window, before each further one delays the next try
    #[arg(long, env = "BROKERX_LOGIN_FAILURES_PER_EMAIL_MAX", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub login_failures_per_email_max: u32,
    /// The window in which wrong passwords count, and the longest delay, seconds
    #[arg(long, env = "BROKERX_LOGIN_WINDOW_SECONDS", default_value_t = 15 * 60, value_parser = clap::value_parser!(u64).range(1..=24 * 60 * 60))]
    pub login_window_seconds: u64,
    /// How long tries to log in are kept in the audit, and API keys and mails after their end, days
    #[arg(long, env = "BROKERX_LOGIN_AUDIT_DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(2..))]
    pub login_audit_days: u32,
    /// How long a link in a mail works, seconds
    #[arg(long, env = "BROKERX_LINK_SECONDS", default_value_t = 24 * 60 * 60)]
    pub link_seconds: i64,
    /// Ages of an unverified registration at which a reminder is mailed, seconds, separated by commas
    #[arg(
        long,
        env = "BROKERX_REMINDER_SECONDS",
        value_delimiter = ',',
        default_value = "86400,259200"
    )]
    pub reminder_seconds: Vec<i64>,
    /// Age at which an unverified registration is rejected and deleted, seconds; by default when the last reminder's link expires
    #[arg(long, env = "BROKERX_REJECTION_SECONDS", default_value_t = 4 * 24 * 60 * 60)]
    pub rejection_seconds: i64,
    /// Lowest price of an order, cents; the same as in the configuration of the machines
    #[arg(long, env = "BROKERX_PRICE_CENTS_MIN", default_value_t = Config::default().price_cents_min)]
    pub price_cents_min: i64,
    /// Highest price of an order, cents; the same as in the configuration of the machines
    #[arg(long, env = "BROKERX_PRICE_CENTS_MAX", default_value_t = Config::default().price_cents_max)]
    pub price_cents_max: i64,
    /// How long the id of an order is remembered after its end, seconds; the same as in the configuration of the machines
    #[arg(long, env = "BROKERX_CLOSED_KEY_SECONDS", default_value_t = Config::default().closed_key_seconds)]
    pub closed_key_seconds: i64,
    /// How far the collar of a market order is from its reference, basis points
    #[arg(long, env = "BROKERX_COLLAR_BPS", default_value_t = Config::default().collar_bps)]
    pub collar_bps: i32,
}

impl AsRef<ServiceOptions> for Options {
    fn as_ref(&self) -> &ServiceOptions {
        &self.service
    }
}

impl Options {
    /// How long a read waits for what its consistency token asks for.
    pub fn consistency_limit(&self) -> Duration {
        Duration::from_millis(self.consistency_ms_max)
    }

    /// How many wrong passwords are too many.
    pub fn login_limits(&self) -> Limits {
        Limits {
            per_pair: self.login_failures_max as usize,
            per_network: self.login_failures_per_address_max as usize,
            per_email: self.login_failures_per_email_max as usize,
            window: Duration::from_secs(self.login_window_seconds),
        }
    }

    /// How long rows are kept.
    pub fn retention(&self) -> Retention {
        Retention {
            login_audit: Duration::from_secs(u64::from(self.login_audit_days) * 24 * 60 * 60),
        }
    }

    /// How long the id of an order is remembered after its end.
    pub fn closed_key(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.closed_key_seconds).unwrap_or(0))
    }

    /// How long a request waits for the outcome of its command.
    pub fn reply_limit(&self) -> Duration {
        Duration::from_millis(self.reply_ms_max)
    }

    /// How long any request may take.
    pub fn request_limit(&self) -> Duration {
        Duration::from_millis(self.request_ms_max)
    }
}

fn origin(text: &str) -> Result<HeaderValue, String> {
    match text.split_once("://") {
        Some(("http" | "https", host)) if !host.is_empty() && !host.contains(['/', '*', ' ']) => {
            HeaderValue::from_str(text).map_err(|error| error.to_string())
        }
        _ => Err("an origin is http:// or https:// and a host, without a path".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_key_that_is_too_short_is_refused() {
        let parse = |key: &str| {
            Options::try_parse_from([
                "ingress",
                "--database-url",
                "x",
                "--jwt-key",
                key,
                "--mail-key",
                &"ab".repeat(32),
            ])
        };
        assert!(parse(&"ab".repeat(32)).is_ok());
        assert!(parse("abcd").unwrap_err().to_string().contains("at least 32 bytes"));
    }

    #[test]
    fn an_origin_has_no_path() {
        assert!(origin("https://app.example.com").is_ok());
        assert!(origin("http://localhost:3000").is_ok());
        for bad in [
            "*",
            "example.com",
            "https://example.com/",
            "ftp://example.com",
            "https://",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
