//! UC-03: deposits and withdrawals. Asked for by commands; read from the projection.

mod http;

pub use http::{deposit, deposits, withdraw, withdrawals};
