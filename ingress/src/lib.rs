//! The HTTP API of BrokerX: identity, commands into Kafka, outcomes back to the caller.
//!
//! The ingress holds no trading state. A request passes the [`gateway`] (correlation, limits, the
//! rendering of problems), proves who it is ([`access`]), is checked for its shape in its domain's
//! folder, and becomes a command ([`commands`]) whose outcome comes back on `replies`. Reads come
//! from the projection in PostgreSQL, market data from memory ([`market`]). Identity is the one
//! thing that is the ingress's own ([`clients`], [`sessions`]); what Kafka must learn of it goes
//! through the [`outbox`]. [`routes`] is the table of everything that is served.

pub mod access;
pub mod admin;
pub mod body;
pub mod clients;
pub mod clock;
pub mod commands;
pub mod consistency;
pub mod database;
pub mod decimal;
pub mod gateway;
pub mod kafka;
pub mod keys;
pub mod links;
pub mod market;
pub mod names;
pub mod operators;
pub mod options;
pub mod orders;
pub mod outbox;
pub mod page;
pub mod payments;
pub mod portfolio;
pub mod problem;
pub mod reasons;
pub mod routes;
pub mod sessions;
pub mod start;
pub mod state;
pub mod telemetry;
pub mod tokens;
