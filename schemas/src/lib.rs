//! The messages of every BrokerX topic: Rust types beside the Avro schemas that they mirror.
//!
//! A topic's value is one Avro record (`schemas/avro/<topic>.avsc`). Where a topic carries
//! several kinds of message, the record has a `kind` enum and one nullable record per kind, the
//! form that can grow under `FULL_TRANSITIVE` (a union cannot). In Rust such a value is an
//! ordinary enum; [`kinds!`](macro@crate::kinds) maps one to the other without a copy.
//!
//! Conventions that hold in every schema:
//! - money is integer US cents (`*_cents`), a price is cents per share, a quantity is whole shares;
//! - times end in `_us` (microseconds since the epoch, UTC), `_ms` or `_second`;
//! - every enum has `UNKNOWN` as its Avro default, which is what an older reader sees of a newer
//!   symbol; a machine that meets it stops, a reader of a public topic skips the record;
//! - a field that is added later has an Avro default and the equal serde default.

mod account_command;
mod account_event;
mod auth;
mod book_command;
mod control;
mod datum;
mod identifiers;
mod internal;
mod kinds;
mod market;
mod message;
mod public;
mod refusal;
mod reply;
mod vocabulary;

pub use account_command::*;
pub use account_event::*;
pub use auth::*;
pub use book_command::*;
pub use control::*;
pub use datum::{AvroSchema, DatumError};
pub use identifiers::*;
pub use internal::*;
pub use market::*;
pub use message::*;
pub use public::*;
pub use refusal::*;
pub use reply::*;
pub use vocabulary::*;
