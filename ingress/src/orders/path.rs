//! Orders in paths.

use brokerx_schemas::OrderId;

use crate::http::Problem;

/// The id of a path; what is none names no order.
pub(super) fn order_id(text: &str) -> Result<OrderId, Problem> {
    text.parse().map_err(|_| not_found())
}

/// Where an order is read.
pub(super) fn location(order_id: OrderId) -> String {
    format!("/api/v1/orders/{order_id}")
}

pub(super) fn not_found() -> Problem {
    Problem::not_found("there is no such order")
}
