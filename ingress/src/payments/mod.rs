//! UC-03: deposits and withdrawals. They are requested by commands and read from the projection.

mod http;

pub use http::{deposit, deposits, withdraw, withdrawals};
