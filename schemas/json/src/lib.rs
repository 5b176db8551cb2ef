//! How BrokerX looks in JSON, wherever it is shown.
//!
//! Here belongs whatever HTTP and the feed both show (an order, a payment, cash, a quote, a candle), so
//! that a client needs one parser for each, and the way numbers, names and times are written. The
//! documents that describe it lie beside this crate: `schemas/openapi` and `schemas/asyncapi`.
//!
//! What only one route or one channel shows belongs beside its handler, and the shape of an error to
//! the ingress. Nothing here reads a clock, a topic or a table. No machine depends on this crate: what
//! it decides must not depend on how the decision is shown.

mod candle;
pub mod decimal;
mod market;
pub mod names;
mod order;
mod payment;
mod portfolio;
mod time;

pub use candle::{CandleBody, interval_name, interval_of};
pub use decimal::{Cents, divide_half_up};
pub use market::{BookBody, InstrumentBody, LevelBody, QuoteBody, StatusBody, TradeBody};
pub use order::{ExecutionBody, OrderBody};
pub use payment::PaymentBody;
pub use portfolio::{CashBody, PositionBody};
pub use time::rfc3339;
