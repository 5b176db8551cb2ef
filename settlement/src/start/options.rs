//! What the process is told on its command line.

use crate::payments::PaymentsOptions;
use crate::projector::{ProjectorOptions, RebuildOptions};
use brokerx_topics::runner::RunnerOptions;
use brokerx_topics::service::{PlatformOptions, ServiceOptions};

/// The command line.
#[derive(clap::Parser)]
#[command(
    name = "brokerx-settlement",
    version,
    about = "Accounts, the public topics, the projection and payments"
)]
pub struct Options {
    #[command(flatten)]
    pub service: ServiceOptions,
    #[command(flatten)]
    pub platform: PlatformOptions,
    #[command(flatten)]
    pub runner: RunnerOptions,
    #[command(flatten)]
    pub projector: ProjectorOptions,
    #[command(flatten)]
    pub payments: PaymentsOptions,
    /// Run only these parts, separated by commas; all by default
    #[arg(long, env = "BROKERX_SETTLEMENT_ONLY", value_enum, value_delimiter = ',', default_values_t = Part::ALL)]
    pub only: Vec<Part>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl AsRef<ServiceOptions> for Options {
    fn as_ref(&self) -> &ServiceOptions {
        &self.service
    }
}

/// What is done instead of serving.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Project up to where the logs end now, then end; may run beside the service
    Project(RebuildOptions),
}

/// A part that can be run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The account machine: commands to events.
    Account,
    /// The publisher: events to the public topics.
    Publisher,
    /// The projector: events to PostgreSQL.
    Projector,
    /// The payments stage: pending payments to the provider.
    Payments,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Account, Self::Publisher, Self::Projector, Self::Payments];
}

impl std::fmt::Display for Part {
    /// As on the command line.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use clap::ValueEnum;
        let value = self.to_possible_value();
        formatter.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}
