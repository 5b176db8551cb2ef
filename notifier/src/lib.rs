//! The notifier: tells clients what happened.
//!
//! Nothing here decides anything or is needed to trade. Clients follow their account and the market
//! over a WebSocket ([`connection`], [`protocol`]): each event of an account ([`private`]) once, in
//! order and without a gap, even after the connection broke; quotes, books and trades ([`market`]) as
//! they change. The mails that `auth` asks for are sent ([`mail`]); what clients acknowledge is written
//! to `acks` ([`acks`]). Every instance reads all topics by itself, so any number of them may run; only
//! the mails are shared among them by a consumer group.

pub mod acks;
pub mod connection;
pub mod mail;
pub mod market;
pub mod options;
pub mod private;
pub mod protocol;
pub mod start;
pub mod telemetry;
