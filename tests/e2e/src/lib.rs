//! What the trials of the whole system are built on.
//!
//! - [`fixture`]: a system that is started for the trials, with clients in it;
//! - [`audit`]: reconciles topics, projection and machines from the outside;
//! - [`fake_clock`]: a process under a clock that a trial sets;
//! - [`foreign_batch`]: a batch of records under the id of somebody else's producer;
//! - [`forgery`]: records that name a worker who did not write them;
//! - [`instances`]: second instances of services, and what a process says of itself.
//!
//! The trials themselves are in `trials/`.

pub mod audit;
pub mod fake_clock;
pub mod fixture;
pub mod foreign_batch;
pub mod forgery;
pub mod instances;
