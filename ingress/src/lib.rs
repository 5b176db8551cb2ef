//! The HTTP API of BrokerX: identity, commands into Kafka, outcomes back to the caller.
//!
//! The ingress holds no trading state. A request passes the [`gateway`], is checked for its shape in
//! its domain's folder, and becomes a command ([`commands`]) whose outcome comes back on `replies`.
//! Reads come from the projection in PostgreSQL, market data from memory. Changes of identity reach
//! Kafka through the [`outbox`].
//!
//! - The domain, a folder for each thing that clients and operators do: [`clients`], [`sessions`],
//!   [`orders`], [`payments`], [`portfolio`], [`market`], [`admin`], and [`operators`] for the command
//!   line.
//! - The way of a request: [`routes`] is the table of everything that is served, [`gateway`] what
//!   each request passes first, [`http`] the forms in which handlers take requests and answer.
//! - The way to Kafka: [`commands`] and [`outbox`].
//! - The process: [`options`], [`state`] (what a request can reach), [`housekeeping`], [`telemetry`],
//!   [`start`].

pub mod admin;
pub mod clients;
pub mod commands;
pub mod gateway;
pub mod housekeeping;
pub mod http;
pub mod market;
pub mod operators;
pub mod options;
pub mod orders;
pub mod outbox;
pub mod payments;
pub mod portfolio;
pub mod routes;
pub mod sessions;
pub mod start;
pub mod state;
pub mod telemetry;
