//! Orders in paths.

use brokerx_schemas::OrderId;

use crate::http::Problem;

/// The order id in a path. A text that is not an id cannot name an order, so it is answered with 404.
pub(super) fn order_id(text: &str) -> Result<OrderId, Problem> {
    text.parse().map_err(|_| not_found())
}

/// The path under which an order is read.
pub(super) fn location(order_id: OrderId) -> String {
    format!("/api/v1/orders/{order_id}")
}

pub(super) fn not_found() -> Problem {
    Problem::not_found("there is no such order")
}
