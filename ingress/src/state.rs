//! What every request can reach.

use std::sync::Arc;

use axum::http::HeaderValue;
use brokerx_identity::Revocations;
use brokerx_identity::tokens::Tokens;
use brokerx_schemas::AccountId;
use brokerx_topics::service::Places;
use sqlx::PgPool;

use crate::admin::InFlight;
use crate::clients::{Passwords, RegistrationLimits};
use crate::commands::Commands;
use crate::gateway::WrongKeys;
use crate::http::RateLimit;
use crate::market::{Market, PublicReads};
use crate::options::Options;
use crate::sessions::Tries;
use crate::telemetry::HttpMetrics;

/// The state of the ingress. It holds nothing that trading depends on.
pub struct App {
    /// The configuration.
    pub options: Options,
    /// The instance's name, as a header.
    pub instance_header: HeaderValue,
    /// PostgreSQL; connects when first needed.
    pub database: PgPool,
    /// Gives and checks tokens.
    pub tokens: Tokens,
    /// Tokens and clients that are not accepted any more.
    pub revocations: Revocations,
    /// Checks passwords.
    pub passwords: Passwords,
    /// Hashes the passwords of registrations; apart, so that neither waits for the other.
    pub registration_passwords: Passwords,
    /// The rates of registrations.
    pub registration_limits: RegistrationLimits,
    /// Tries to log in.
    pub tries: Arc<Tries>,
    /// The rate of log-ins of each client, and of the tries of each e-mail from each network.
    pub login_limit: RateLimit,
    /// Sends commands.
    pub commands: Commands,
    /// Reads that wait for the projection.
    pub waiting_reads: Places<AccountId>,
    /// Wrong API keys of each address; keys are known by their hashes.
    pub wrong_keys: WrongKeys<Vec<u8>>,
    /// What operators asked for and is on its way.
    pub in_flight: InFlight,
    /// The market.
    pub market: Arc<Market>,
    /// Reads of strangers from the database.
    pub public_reads: PublicReads,
    /// The rate of each address.
    pub address_limit: RateLimit,
    /// The rate of each client.
    pub client_limit: RateLimit,
    /// What is counted about requests.
    pub metrics: HttpMetrics,
}

/// The state in the form that handlers take.
pub type Shared = Arc<App>;
