//! What is built on this machine: BrokerX itself, and the Python environment of its tests.

pub mod cargo;
pub mod freshness;
pub mod python;
mod units;
