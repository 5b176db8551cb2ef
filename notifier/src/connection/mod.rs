//! Connections: one task each, which owns the socket, the subscriptions and the private stream.
//!
//! The next message from a client is read only after the answer to the last one was written, so a client
//! that does not read cannot make work. What the readers push waits in a bounded queue ([`Outbox`]); a
//! client that lets it fill up, or does not take a write within a limit, is told so and disconnected.
//!
//! What one client may ask for is bounded as well: messages by a rate ([`pace`]), whole books and the like
//! to one a second each ([`wholes`]), connections per address (the server's) and per account, and what is read of the past to
//! one page of an account at a time ([`History`](crate::private::History)).

mod feed;
mod outbox;
mod pace;
mod session;
mod socket;
mod wholes;

pub use feed::{Feed, Limits};
pub use outbox::{ConnectionId, Outbox, Outgoing, Push, Slow};
pub use session::{Ending, Session};
pub use socket::routes;
