//! The private stream: what happens to an account, for the client whose account it is.
//!
//! One reader follows `account-events` from the position that the projection has reached, so that every
//! event is in PostgreSQL or is read here. [`Accounts`] fans events out and remembers the last number of
//! each account; a connection's [`PrivateStream`] joins pages of the past ([`History`]) with live events
//! by [`Join`], which passes on exactly the next number. Each event is pushed at most once per connection
//! and resume, in order.
//!
//! Known limit: an event that is read from the projection has no correlation id.

mod accounts;
mod event;
mod history;
mod join;
mod recent;
mod stream;

pub use accounts::{AccountFeed, Accounts};
pub use event::Happened;
pub use history::History;
pub use join::{Join, Step, WAITING_MAX};
pub use stream::PrivateStream;
