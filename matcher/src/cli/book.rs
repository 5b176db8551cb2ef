//! The book in priority order.

use super::answer::put;
use crate::book::{Book, Side};

/// Appends the book: of an iceberg the whole quantity, and what it shows. Stops are there only when
/// there are any.
pub(super) fn write(book: &Book, into: &mut Vec<u8>) {
    into.extend_from_slice(b"{\"bids\":[");
    write_side(book, Side::Buy, into);
    into.extend_from_slice(b"],\"asks\":[");
    write_side(book, Side::Sell, into);
    into.push(b']');
    if book.stop_count() > 0 {
        into.extend_from_slice(b",\"stops\":[");
        let mut stops: Vec<_> = book.stops().collect();
        stops.sort_unstable_by_key(|stop| stop.placed);
        for (at, stop) in stops.into_iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let (id, price, quantity) = (stop.order_id, stop.stop, stop.quantity);
            let side = match stop.side {
                Side::Buy => "buy",
                Side::Sell => "sell",
            };
            put(
                into,
                format_args!(
                    "{comma}{{\"id\":{id},\"side\":\"{side}\",\"stop_price\":{price},\"quantity\":{quantity}}}"
                ),
            );
        }
        into.push(b']');
    }
    into.push(b'}');
}

fn write_side(book: &Book, side: Side, into: &mut Vec<u8>) {
    let mut price = None;
    for order in book.queue(side) {
        if price == Some(order.price) {
            into.push(b',');
        } else {
            if price.is_some() {
                into.extend_from_slice(b"]},");
            }
            put(into, format_args!("{{\"price\":{},\"orders\":[", order.price));
            price = Some(order.price);
        }
        let (id, quantity, visible) = (order.order_id, order.leaves, order.visible);
        put(into, format_args!("{{\"id\":{id},\"quantity\":{quantity}"));
        if order.display > 0 {
            put(into, format_args!(",\"visible\":{visible}"));
        }
        into.push(b'}');
    }
    if price.is_some() {
        into.extend_from_slice(b"]}");
    }
}
