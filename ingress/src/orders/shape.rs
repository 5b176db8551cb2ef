//! The shape of an order: what is checked before anything is sent. An order that is refused here is
//! recorded nowhere.

use brokerx_json::{decimal, names};
use brokerx_schemas::{OrderType, SelfTradePrevention, Side, Symbol, TimeInForce};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::{FieldError, is_client_key};
use crate::options::Options;

/// An order as a client writes it. Every field is optional, so that all missing ones can be reported at once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderInput {
    symbol: Option<String>,
    direction: Option<String>,
    order_type: Option<String>,
    quantity: Option<Box<RawValue>>,
    price: Option<Box<RawValue>>,
    stop_price: Option<Box<RawValue>>,
    time_in_force: Option<String>,
    post_only: Option<bool>,
    display_quantity: Option<Box<RawValue>>,
    client_order_id: Option<String>,
    self_trade_prevention: Option<String>,
}

/// An order of the right shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OrderShape {
    pub(super) symbol: Symbol,
    pub(super) side: Side,
    pub(super) order_type: OrderType,
    pub(super) quantity: i64,
    pub(super) price_cents: Option<i64>,
    pub(super) stop_price_cents: Option<i64>,
    pub(super) time_in_force: TimeInForce,
    pub(super) post_only: bool,
    pub(super) display_quantity: Option<i64>,
    pub(super) client_order_id: String,
    pub(super) self_trade_prevention: SelfTradePrevention,
}

/// The prices that an order may have, cents, both included.
#[derive(Clone, Copy, Debug)]
pub(super) struct PriceRange {
    pub(super) min: i64,
    pub(super) max: i64,
}

impl PriceRange {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            min: options.price_cents_min,
            max: options.price_cents_max,
        }
    }
}

impl OrderInput {
    /// Checks every field. Faults are listed in the order of precedence: form, then `INVALID_QUANTITY`,
    /// `INVALID_PRICE`, `UNKNOWN_SYMBOL`.
    pub(super) fn check(
        &self,
        range: PriceRange,
        is_listed: impl Fn(Symbol) -> bool,
    ) -> Result<OrderShape, Vec<FieldError>> {
        let mut errors = Vec::new();
        let side = choice(
            self.direction.as_deref(),
            "order.direction",
            "is buy or sell",
            &mut errors,
        );
        let order_type = choice(
            self.order_type.as_deref(),
            "order.order_type",
            "is market, limit, stop or stop_limit",
            &mut errors,
        );
        let time_in_force = time_in_force(self.time_in_force.as_deref(), &mut errors);
        let self_trade_prevention = match self.self_trade_prevention.as_deref() {
            None => Some(SelfTradePrevention::CancelIncoming),
            name => choice(
                name,
                "order.self_trade_prevention",
                "is cancel_incoming, cancel_resting or cancel_both",
                &mut errors,
            ),
        };
        let client_order_id = self.client_order_id.clone().filter(|id| is_client_key(id));
        if client_order_id.is_none() {
            errors.push(invalid(
                "order.client_order_id",
                "is 1 to 64 printable ASCII characters, without a space",
            ));
        }
        let quantity = quantity(self.quantity.as_deref(), "order.quantity", &mut errors);
        let display_quantity = self.display_quantity.as_deref().and_then(|json| {
            let shown = self::quantity(Some(json), "order.display_quantity", &mut errors);
            if shown > quantity && quantity.is_some() {
                errors.push(FieldError::new(
                    "order.display_quantity",
                    "INVALID_QUANTITY",
                    "is more than the quantity",
                ));
            }
            shown
        });
        let wants = |wanted: &[OrderType]| order_type.map(|order_type| wanted.contains(&order_type));
        let price_cents = price(
            self.price.as_deref(),
            "order.price",
            wants(&[OrderType::Limit, OrderType::StopLimit]),
            range,
            &mut errors,
        );
        let stop_price_cents = price(
            self.stop_price.as_deref(),
            "order.stop_price",
            wants(&[OrderType::Stop, OrderType::StopLimit]),
            range,
            &mut errors,
        );
        let symbol = self
            .symbol
            .as_deref()
            .and_then(|symbol| Symbol::new(symbol).ok())
            .filter(|symbol| is_listed(*symbol));
        if symbol.is_none() {
            errors.push(FieldError::new(
                "order.symbol",
                "UNKNOWN_SYMBOL",
                "is not a listed instrument",
            ));
        }
        match (
            symbol,
            side,
            order_type,
            quantity,
            time_in_force,
            client_order_id,
            self_trade_prevention,
        ) {
            (
                Some(symbol),
                Some(side),
                Some(order_type),
                Some(quantity),
                Some(time_in_force),
                Some(client_order_id),
                Some(self_trade_prevention),
            ) if errors.is_empty() => Ok(OrderShape {
                symbol,
                side,
                order_type,
                quantity,
                price_cents,
                stop_price_cents,
                time_in_force,
                post_only: self.post_only.unwrap_or(false),
                display_quantity,
                client_order_id,
                self_trade_prevention,
            }),
            _ => Err(errors),
        }
    }
}

/// The changes of a replace, as a client writes them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplaceInput {
    price: Option<Box<RawValue>>,
    quantity: Option<Box<RawValue>>,
    time_in_force: Option<String>,
    client_version: Option<i32>,
}

/// The changes of a replace, of the right shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReplaceShape {
    pub(super) price_cents: Option<i64>,
    pub(super) quantity: Option<i64>,
    pub(super) time_in_force: Option<TimeInForce>,
    pub(super) client_version: i32,
}

impl ReplaceInput {
    /// Checks every field, in the order of precedence.
    pub(super) fn check(self, range: PriceRange) -> Result<ReplaceShape, Vec<FieldError>> {
        let mut errors = Vec::new();
        if self.client_version.is_none() {
            errors.push(invalid("order.client_version", "is missing"));
        }
        if self.price.is_none() && self.quantity.is_none() && self.time_in_force.is_none() {
            errors.push(invalid(
                "order",
                "names nothing to change: price, quantity or time_in_force",
            ));
        }
        let given_time_in_force = self
            .time_in_force
            .as_deref()
            .and_then(|name| time_in_force(Some(name), &mut errors));
        let given_quantity = self
            .quantity
            .as_deref()
            .and_then(|json| quantity(Some(json), "order.quantity", &mut errors));
        let price_cents = self
            .price
            .as_deref()
            .and_then(|json| price(Some(json), "order.price", Some(true), range, &mut errors));
        match self.client_version {
            Some(client_version) if errors.is_empty() => Ok(ReplaceShape {
                price_cents,
                quantity: given_quantity,
                time_in_force: given_time_in_force,
                client_version,
            }),
            _ => Err(errors),
        }
    }
}

fn invalid(field: &'static str, message: &'static str) -> FieldError {
    FieldError::new(field, "INVALID_REQUEST", message)
}

fn choice<T: serde::de::DeserializeOwned + Default + PartialEq>(
    name: Option<&str>,
    field: &'static str,
    message: &'static str,
    errors: &mut Vec<FieldError>,
) -> Option<T> {
    let value = name.and_then(names::of_lower);
    if value.is_none() {
        errors.push(invalid(field, message));
    }
    value
}

fn time_in_force(name: Option<&str>, errors: &mut Vec<FieldError>) -> Option<TimeInForce> {
    let value = name
        .map(names::of_symbol)
        .filter(|value| *value != TimeInForce::Unknown);
    if value.is_none() {
        errors.push(invalid("order.time_in_force", "is DAY, GTC, IOC or FOK"));
    }
    value
}

fn quantity(json: Option<&RawValue>, field: &'static str, errors: &mut Vec<FieldError>) -> Option<i64> {
    let value = json
        .and_then(|json| decimal::parse(json, 0).ok())
        .filter(|quantity| *quantity > 0);
    if value.is_none() {
        errors.push(FieldError::new(
            field,
            "INVALID_QUANTITY",
            "is a whole number of shares, more than 0",
        ));
    }
    value
}

/// Checks a price. `wanted` says whether the order type needs it or forbids it; none when the order type is
/// not known, so that both are accepted.
fn price(
    json: Option<&RawValue>,
    field: &'static str,
    wanted: Option<bool>,
    range: PriceRange,
    errors: &mut Vec<FieldError>,
) -> Option<i64> {
    let message = match (json, wanted) {
        (None, Some(true)) => "is missing".to_owned(),
        (Some(_), Some(false)) => "does not belong to this type of order".to_owned(),
        (None, _) => return None,
        (Some(json), _) => match decimal::parse(json, 2) {
            Ok(cents) if (range.min..=range.max).contains(&cents) => return Some(cents),
            Ok(_) => format!(
                "is outside the range from {} to {}",
                decimal::Cents(range.min),
                decimal::Cents(range.max)
            ),
            Err(error) => error.to_string(),
        },
    };
    errors.push(FieldError::new(field, "INVALID_PRICE", message));
    None
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
