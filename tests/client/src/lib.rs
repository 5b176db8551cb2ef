//! BrokerX from the outside: what a client and another team see of it.
//!
//! - [`Api`], [`Session`], [`Stream`]: a client over HTTP and WebSocket, used by the demo, the
//!   benchmark and the trials;
//! - [`log`]: reads whole topics as a consumer of another team would, duplicates removed;
//! - [`wait_until_quiet`]: when nothing is on its way any more.

mod api;
pub mod log;
mod mail;
mod money;
mod quiet;
mod stream;
mod wait;

pub use api::{Answer, Api, Session, place_order};
pub use mail::{mails_to, verification_link};
pub use money::Cents;
pub use quiet::wait_until_quiet;
pub use stream::Stream;
pub use wait::eventually;
