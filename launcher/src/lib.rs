//! Starts and stops everything that a local BrokerX consists of: Kafka, the schema registry and
//! PostgreSQL ([`platform`]), the workers on top of them ([`services`], [`system`]), from the
//! command line ([`commands`]) and from tests.
//!
//! A test calls [`system::System::for_test`]: free ports, a scratch home of which only the
//! logs of a failure stay, every process killed when the test dies. A person calls `./brokerx up`
//! ([`supervisor`]). Both run the same code: what is tested is what runs.

pub mod cargo;
pub mod commands;
pub mod download;
pub mod failure;
pub mod holder;
pub mod interrupt;
pub mod kafka;
pub mod layout;
pub mod lock;
pub mod logs;
pub mod platform;
pub mod ports;
pub mod postgres;
pub mod prerequisites;
pub mod probe;
pub mod process;
pub mod progress;
pub mod python;
pub mod registry;
pub mod scratch;
pub mod secrets;
pub mod services;
pub mod state;
pub mod supervisor;
pub mod system;
pub mod tool;
