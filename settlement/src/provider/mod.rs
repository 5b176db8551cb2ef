//! A simulated payment provider: a real HTTP server that stands where a bank would.
//!
//! - `PUT /v1/payments/{payment_id}` with [`wire::PaymentOrder`]: asks for a payment. Idempotent by
//!   the id: the same content again answers the present state, other content is refused with 409.
//! - `GET /v1/payments/{payment_id}`: the present state, or 404.
//! - `GET /health`, `/ready`, `/metrics`.
//!
//! A provider that was given a token answers questions about payments only to those who present it
//! (`Authorization: Bearer`), others with 401. It calls nobody by itself: a result is always the answer to a question.
//!
//! Both answer [`wire::PaymentAnswer`]. What happened is kept in an append-only file and survives a
//! restart. How a payment goes is decided by the cents of its amount ([`rules`]): tests and demos
//! choose an outcome by choosing an amount.

pub mod http;
pub mod rules;
pub mod start;
pub mod store;
pub mod wire;
