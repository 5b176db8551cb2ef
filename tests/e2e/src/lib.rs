//! What the trials of the whole system are built on.
//!
//! - [`fixture`]: a system that is started for the trials, with clients in it;
//! - [`audit`]: reconciles topics, projection and machines from the outside.
//!
//! The trials themselves are in `trials/`.

pub mod audit;
pub mod fixture;
