//! What a client was told about its order over HTTP, compared with what became of it.

use anyhow::Context;
use brokerx_schemas::{OrderId, OrderStatus, OrderView, Reason};
use serde_json::{Value, json};

use brokerx_client::Cents;

/// An order as an answer showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The order.
    pub order_id: OrderId,
    /// Where it stood.
    pub status: OrderStatus,
    /// Why it was refused or had ended.
    pub reason: Option<Reason>,
    /// How often its terms had changed, from 1.
    pub version: i32,
    event_seq: i32,
    filled_quantity: i64,
    fees: Cents,
}

impl Told {
    /// Reads the order of an answer.
    ///
    /// # Errors
    /// When it lacks a field, or a field is not what it should be.
    pub fn of(order: &Value) -> anyhow::Result<Self> {
        let text = |field: &str| order[field].as_str().with_context(|| format!("no {field}: {order}"));
        let number = |field: &str| order[field].as_i64().with_context(|| format!("no {field}: {order}"));
        let reason = Some(&order["reason"]).filter(|reason| !reason.is_null());
        Ok(Self {
            order_id: text("id")?.parse()?,
            status: serde_json::from_value(json!(text("status")?.to_ascii_uppercase()))?,
            reason: reason.cloned().map(serde_json::from_value).transpose()?,
            version: number("version")?.try_into()?,
            event_seq: number("event_seq")?.try_into()?,
            filled_quantity: number("filled_quantity")?,
            fees: text("fees")?.parse()?,
        })
    }

    /// What is wrong when the order, as it stands now, cannot have developed from what was told; none when it
    /// can.
    pub fn contradiction(&self, now: &OrderView) -> Option<String> {
        let went_back = [
            ("version", i64::from(self.version), i64::from(now.version)),
            ("event_seq", i64::from(self.event_seq), i64::from(now.event_seq)),
            ("filled_quantity", self.filled_quantity, now.filled_quantity),
            ("fees", self.fees.0, now.fees_cents),
        ];
        if let Some((field, told, now)) = went_back.into_iter().find(|(_, told, now)| told > now) {
            return Some(format!("{field} went back from {told} to {now}"));
        }
        let told = (self.status, self.reason, self.filled_quantity, self.fees);
        let stands = (now.status, now.reason, now.filled_quantity, Cents(now.fees_cents));
        // Nothing has happened since, or nothing may change any more.
        let is_final = self.event_seq == now.event_seq || self.status.is_terminal();
        if is_final && told != stands {
            return Some(format!("was told as {told:?} and is {stands:?}"));
        }
        (!may_become(self.status, now.status)).then(|| format!("{:?} became {:?}", self.status, now.status))
    }
}

fn may_become(told: OrderStatus, now: OrderStatus) -> bool {
    use OrderStatus::{Accepted, Cancelled, Expired, Filled, PartiallyFilled, Pending, Rejected, Unknown, Working};
    match told {
        Unknown => false,
        Pending => now != Unknown,
        Accepted => ![Unknown, Pending].contains(&now),
        // The order was in the book, so it cannot be refused any more.
        Working => [Working, PartiallyFilled, Filled, Cancelled, Expired].contains(&now),
        PartiallyFilled => [PartiallyFilled, Filled, Cancelled, Expired].contains(&now),
        Filled | Cancelled | Rejected | Expired => now == told,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_schemas::{AccountId, OrderType, SelfTradePrevention, Side, Symbol, TimeInForce};

    use super::*;

    fn told(status: &str, reason: Option<&str>, event_seq: i32, filled_quantity: i64) -> Told {
        let mut order = json!({"id": "7", "status": status, "version": 1, "event_seq": event_seq,
                               "filled_quantity": filled_quantity, "fees": "0.10"});
        if let Some(reason) = reason {
            order["reason"] = json!(reason);
        }
        Told::of(&order).unwrap()
    }

    fn now(status: OrderStatus, reason: Option<Reason>, event_seq: i32, filled_quantity: i64) -> OrderView {
        OrderView {
            order_id: OrderId(7),
            account_id: AccountId(1),
            client_order_id: "a".to_owned(),
            symbol: Symbol::new("AAPL").unwrap(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            quantity: 10,
            price_cents: Some(100),
            stop_price_cents: None,
            collar_price_cents: None,
            time_in_force: TimeInForce::Gtc,
            post_only: false,
            display_quantity: None,
            self_trade_prevention: SelfTradePrevention::CancelIncoming,
            status,
            reason,
            version: 1,
            event_seq,
            filled_quantity,
            filled_notional_cents: filled_quantity * 100,
            fees_cents: 10,
            reserved_cents: 0,
            reserved_quantity: 0,
            created_us: 1,
            updated_us: 2,
        }
    }

    #[test]
    fn a_later_state_is_no_contradiction() {
        let no_funds = Reason::InsufficientFunds;
        for (told, now) in [
            (told("working", None, 2, 0), now(OrderStatus::Working, None, 2, 0)),
            (
                told("working", None, 2, 0),
                now(OrderStatus::PartiallyFilled, None, 3, 4),
            ),
            (
                told("partially_filled", None, 3, 4),
                now(OrderStatus::Cancelled, Some(Reason::CancelledByClient), 5, 4),
            ),
            (
                told("accepted", None, 1, 0),
                now(OrderStatus::Rejected, Some(Reason::PriceBand), 2, 0),
            ),
            (told("filled", None, 3, 10), now(OrderStatus::Filled, None, 4, 10)),
            (
                told("rejected", Some("INSUFFICIENT_FUNDS"), 1, 0),
                now(OrderStatus::Rejected, Some(no_funds), 1, 0),
            ),
        ] {
            assert_eq!(told.contradiction(&now), None, "{told:?}");
        }
    }

    #[test]
    fn what_was_told_is_not_taken_back() {
        let by_client = Some(Reason::CancelledByClient);
        for (told, now) in [
            (
                told("filled", None, 3, 10),
                now(OrderStatus::Cancelled, by_client, 4, 10),
            ),
            (
                told("cancelled", Some("CANCELLED_BY_CLIENT"), 3, 4),
                now(OrderStatus::Filled, None, 4, 10),
            ),
            (
                told("cancelled", Some("CANCELLED_BY_CLIENT"), 3, 4),
                now(OrderStatus::Cancelled, by_client, 4, 5),
            ),
            (
                told("cancelled", Some("NO_LIQUIDITY"), 3, 4),
                now(OrderStatus::Cancelled, by_client, 4, 4),
            ),
            (
                told("rejected", Some("PRICE_BAND"), 1, 0),
                now(OrderStatus::Rejected, Some(Reason::Halted), 1, 0),
            ),
            (
                told("working", None, 2, 0),
                now(OrderStatus::Rejected, Some(Reason::Halted), 3, 0),
            ),
            (told("working", None, 2, 0), now(OrderStatus::Accepted, None, 3, 0)),
            (
                told("partially_filled", None, 3, 4),
                now(OrderStatus::PartiallyFilled, None, 4, 3),
            ),
            (told("working", None, 3, 0), now(OrderStatus::Filled, None, 2, 10)),
            (told("working", None, 3, 0), now(OrderStatus::Filled, None, 3, 10)),
        ] {
            assert!(told.contradiction(&now).is_some(), "{told:?}");
        }
    }
}
