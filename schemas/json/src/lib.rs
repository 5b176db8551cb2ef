//! How BrokerX looks in JSON, wherever it is shown.
//!
//! Here belongs what HTTP and the feed both show (an order, a payment, cash, a quote, a candle), so
//! that a client needs one parser for each, and how numbers, names and times are written in it. The
//! documents that describe it lie beside this crate: `schemas/openapi` and `schemas/asyncapi`.
//!
//! What only one route or one channel shows stands beside its handler. How a problem looks belongs to
//! the ingress. Nothing here reads a clock, a topic or a table; and no machine reaches this crate, as
//! what a machine decides must not depend on how it is shown.

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
pub use market::{BookBody, InstrumentBody, LevelBody, QuoteBody, StatusBody};
pub use order::{ExecutionBody, OrderBody};
pub use payment::PaymentBody;
pub use portfolio::{CashBody, PositionBody};
pub use time::rfc3339;
