//! Who somebody is, as far as more than one process must know it.
//!
//! The ingress registers clients and gives them tokens and links; the notifier, too, must check or
//! make them. Here belongs what both need: the secret keys of the configuration ([`keys`]), API keys
//! ([`api_keys`]), tokens ([`tokens`]), what is not accepted any more ([`Revocations`]), the tokens of
//! mailed links ([`links`]), and the schema `identity` of PostgreSQL with its migrations
//! ([`database`]). That schema is a source of truth: it cannot be rebuilt from a topic. Registration,
//! passwords and what a role may do belong to the ingress.

pub mod api_keys;
pub mod database;
mod genuine;
pub mod keys;
pub mod links;
mod revocations;
mod signatures;
pub mod tokens;

pub use revocations::Revocations;
