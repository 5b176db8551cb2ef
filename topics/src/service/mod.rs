//! What every process has: options, logs, metrics, health, a graceful stop, back-off, Kafka settings.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use brokerx_topics::service::{self, Health, ServiceOptions, Shutdown};
//! # #[derive(clap::Parser)]
//! # struct Options {
//! #     #[command(flatten)]
//! #     service: ServiceOptions,
//! # }
//! # impl AsRef<ServiceOptions> for Options {
//! #     fn as_ref(&self) -> &ServiceOptions {
//! #         &self.service
//! #     }
//! # }
//! # async fn run(options: Options, shutdown: Shutdown) -> anyhow::Result<()> {
//! let metrics = service::metrics();
//! let health = Health::default();
//! let kafka = health.add("kafka");
//! kafka.set(true, "connected");
//! service::serve(options.service.listen, Arc::new(metrics), health, shutdown).await
//! # }
//! ```

mod backoff;
pub mod clock;
mod complaints;
mod credentials;
mod drained;
mod gathering;
mod health;
mod held_up;
mod http;
mod https;
pub mod kafka;
mod log_filter;
mod metrics;
mod native;
mod options;
mod places;
mod probe;
mod process;
mod producer;
mod rate;
mod security;
mod server;
mod setback;
mod shutdown;
mod skew;
mod source;
pub mod telemetry;

pub use backoff::{Backoff, backoff};
pub use complaints::{Complaining, complain, standing_complaint};
pub use credentials::RegistryCredentials;
pub use drained::{Drained, Reads};
pub use gathering::{Gathering, GatheringConsumer};
pub use health::{Check, Health};
pub(crate) use held_up::nothing_comes;
pub use held_up::{HeldUp, HeldUpLogs, Turn};
pub use http::{http_routes, serve, serve_with_operation};
pub use https::{Authorities, trusting, with_causes};
pub use log_filter::{LogFilter, log_filter, or_default};
pub use metrics::{Metrics, TopicLabel, latency, metrics, since};
pub use native::high_watermark;
pub use options::{PlatformOptions, ServiceOptions, parse_options};
pub use places::{Place, Places};
pub use probe::watch_broker;
pub use process::run_process;
pub use producer::{Batch, DeliveringProducer, Delivery, Outbound};
pub use rate::Rate;
pub use security::{KafkaSecurity, Mechanism, Password, Protocol};
pub use server::{ClientPlace, Limits, Seat, Server, ServerCertificate, ServerMetrics, ServerOptions};
pub use shutdown::Shutdown;
pub use skew::ClockWatch;
pub use source::{client_address, source_of};
