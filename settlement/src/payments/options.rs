//! How the payments stage is started.

use brokerx_topics::service::{Authorities, Password};

/// Where the provider is, and how hard it is asked.
#[derive(clap::Args, Clone, Debug)]
pub struct PaymentsOptions {
    /// The payment provider
    #[arg(long, env = "BROKERX_PROVIDER_URL", default_value = "http://127.0.0.1:8093")]
    pub provider_url: String,
    /// The certificates of those who certify the provider, PEM; those of the system when not given
    #[arg(long, env = "BROKERX_PROVIDER_CA_FILE", value_parser = Authorities::in_file)]
    pub provider_ca_file: Option<Authorities>,
    /// A token by which the provider knows us (HTTP Bearer)
    #[arg(
        long,
        env = "BROKERX_PROVIDER_TOKEN",
        hide_env_values = true,
        conflicts_with = "provider_token_file"
    )]
    pub provider_token: Option<Password>,
    /// A file with the token in the first line
    #[arg(long, env = "BROKERX_PROVIDER_TOKEN_FILE", value_parser = Password::in_file)]
    pub provider_token_file: Option<Password>,
    /// Longest time of one request to the provider, milliseconds
    #[arg(long, env = "BROKERX_PROVIDER_TIMEOUT_MS", default_value_t = 5_000)]
    pub provider_timeout_ms: u64,
    /// Most requests to the provider at a time
    #[arg(long, env = "BROKERX_PROVIDER_REQUESTS_MAX", default_value_t = 32)]
    pub provider_requests_max: usize,
    /// Most payments that are undecided at a time; reading pauses at this number
    #[arg(long, env = "BROKERX_PAYMENTS_OPEN_MAX", default_value_t = 10_000)]
    pub payments_open_max: usize,
}
