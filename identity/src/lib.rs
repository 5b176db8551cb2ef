//! Who somebody is, as far as more than one process must know it.
//!
//! The ingress registers clients and lets them in; whoever else faces them checks what it gave out.
//! Here belongs what both need: the secret keys of the configuration ([`keys`]), API keys ([`api_keys`]), tokens ([`tokens`]),
//! what is not accepted any more ([`Revocations`]), the tokens of mailed links ([`links`]), and the
//! schema `identity` of PostgreSQL with its migrations ([`database`]), which is truth and never
//! rebuilt. Registration, passwords and what a role may do are the ingress's own and stay there.

pub mod api_keys;
pub mod database;
pub mod keys;
pub mod links;
mod revocations;
pub mod tokens;

pub use revocations::Revocations;
