//! What the trials of the whole system stand on.
//!
//! - [`fixture`]: a system of the trials' own with clients in it;
//! - [`audit`]: reconciles topics, projection and machines from the outside.
//!
//! The trials themselves are in `trials/`.

pub mod audit;
pub mod fixture;
