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

/// The path under which an order is looked for by the client's own id, if it was asked for at a time
/// (microseconds since the epoch): an older order whose id was free again by then is another one.
pub(super) fn by_client_id_location(client_order_id: &str, asked_us: i64) -> String {
    let id = path_segment(client_order_id);
    format!("/api/v1/orders/by-client-id/{id}?asked_us={asked_us}")
}

pub(super) fn not_found() -> Problem {
    Problem::not_found("there is no such order")
}

/// A client's order id as one segment of a path: everything but unreserved characters is escaped.
fn path_segment(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut segment, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                segment.push(char::from(byte));
            } else {
                segment.push_str(&format!("%{byte:02X}"));
            }
            segment
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_escaped_in_paths() {
        assert_eq!(path_segment("a-1.b_~"), "a-1.b_~");
        assert_eq!(path_segment("a/b?c%#"), "a%2Fb%3Fc%25%23");
    }
}
