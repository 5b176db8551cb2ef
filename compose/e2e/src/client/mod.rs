//! A client of BrokerX over HTTP and WebSocket.

mod api;
mod mail;
mod money;
mod stream;

pub use api::{Answer, Api, Session, place_order};
pub use mail::verification_link;
pub use money::Cents;
pub use stream::Stream;
