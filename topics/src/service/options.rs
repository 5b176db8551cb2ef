//! Options that every process takes, from the command line or the environment.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use super::credentials::RegistryCredentials;
use super::https::Authorities;
use super::log_filter::{DEFAULT, LogFilter};
use super::security::KafkaSecurity;

/// Where Kafka and the schema registry are.
#[derive(clap::Args, Clone, Debug)]
pub struct PlatformOptions {
    /// Kafka's bootstrap servers, `host:port` separated by commas
    #[arg(long, env = "BROKERX_KAFKA_BROKERS", default_value = "127.0.0.1:9092")]
    pub kafka_brokers: String,
    /// The Confluent API of the schema registry
    #[arg(
        long,
        env = "BROKERX_SCHEMA_REGISTRY_URL",
        default_value = "http://127.0.0.1:8081/apis/ccompat/v7"
    )]
    pub schema_registry_url: String,
    /// The certificates of those who certify the schema registry, PEM; those of the system when not given
    #[arg(long, env = "BROKERX_SCHEMA_REGISTRY_CA_FILE", value_parser = Authorities::in_file)]
    pub schema_registry_ca_file: Option<Authorities>,
    /// Where the schemas that the process has met are kept, so that it starts while the registry is away; may be shared
    #[arg(long, env = "BROKERX_SCHEMA_DIR")]
    pub schema_dir: Option<PathBuf>,
    /// Who this process is to the schema registry.
    #[command(flatten)]
    pub schema_registry_credentials: RegistryCredentials,
    /// Who this process is to Kafka.
    #[command(flatten)]
    pub kafka_security: KafkaSecurity,
}

/// Who a process is, where it serves and what it logs.
#[derive(clap::Args, Clone, Debug)]
pub struct ServiceOptions {
    /// Name of this instance, unique among the instances of its service and kept over restarts
    #[arg(long, env = "BROKERX_INSTANCE", default_value = "1")]
    pub instance: String,
    /// Address of its HTTP server; port 0 takes any free one, which the log names
    #[arg(long, env = "BROKERX_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// What is logged: `info`, or levels per module such as `info,librdkafka=warn`
    #[arg(long, env = "BROKERX_LOG", default_value = DEFAULT, value_parser = any_filter)]
    pub log: LogFilter,
}

fn any_filter(text: &str) -> Result<LogFilter, Infallible> {
    Ok(LogFilter::of_service(text))
}

/// Parses the options of a process whose [`ServiceOptions::listen`] has its own default, and ends
/// the process with a message when they are wrong.
///
/// # Panics
/// When `P` does not include [`ServiceOptions`].
pub fn parse_options<P: Parser>(listen_default: &'static str) -> P {
    let command = P::command().mut_arg("listen", |listen| listen.default_value(listen_default));
    let mut matches = command.get_matches();
    P::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit())
}
