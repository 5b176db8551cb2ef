//! UC-03: deposits and withdrawals. Asked for by commands; read from the projection.

mod body;
mod http;

pub use body::PaymentBody;
pub use http::{deposit, deposits, withdraw, withdrawals};
