//! BrokerX from the outside: what a client, an operator and another team see of it.
//!
//! - [`client`]: an HTTP and WebSocket client, used by the demo, the tests and the benchmark;
//! - [`log`]: reads whole topics as a consumer of another team would, duplicates removed;
//! - [`audit`]: reconciles topics, projection and machines;
//! - [`fixture`]: a system of the tests' own with clients in it.

pub mod audit;
pub mod client;
pub mod fixture;
pub mod log;
