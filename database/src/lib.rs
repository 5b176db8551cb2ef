//! What every room with a schema of its own in PostgreSQL needs: rows as structs ([`row!`]) and
//! migrations as part of the program ([`migrations!`]).
//!
//! sqlx has macros of its own for both. They are procedural, so that the compiler needs sqlx, Tokio and
//! a hundred libraries more a second time, for itself, before it compiles the first query: a fifth of
//! all that a first `./brokerx up` builds (docs/adr/0013-no-procedural-macros-of-sqlx.md). Here belongs
//! what takes their place. Tables, queries and connections belong to the room whose schema it is.

mod migrations;
mod row;

pub use migrations::{are_applied, migrator};

#[doc(hidden)]
pub use sqlx;
