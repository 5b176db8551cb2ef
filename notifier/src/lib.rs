//! The notifier: what happened, to whoever waits for it.
//!
//! Nothing here decides anything or is needed to trade. Clients follow their account and the market
//! over a WebSocket ([`connection`], [`protocol`]): events of an account ([`private`]) each once, in
//! order and without a gap, also after a break; quotes, books and trades ([`market`]) as they are.
//! What `auth` asks to be mailed is mailed ([`mail`]); what clients acknowledge is written to `acks`
//! ([`acks`]). Every instance reads all topics by itself, so any number of them may run; only the
//! mails are shared among them by a consumer group.

pub mod acks;
pub mod connection;
pub mod mail;
pub mod market;
pub mod options;
pub mod private;
pub mod protocol;
pub mod start;
pub mod telemetry;
