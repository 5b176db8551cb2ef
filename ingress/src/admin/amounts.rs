//! Amounts that operators write: within bounds that no account comes near, and far from what the sums of many of
//! them could not hold.

use brokerx_json::decimal;
use serde_json::value::RawValue;

use crate::http::{FieldError, Problem};

/// The largest amount of money, cents: 10 trillion.
pub(super) const CENTS_MAX: i64 = 1_000_000_000_000_000;
/// The largest number of shares.
pub(super) const QUANTITY_MAX: i64 = 1_000_000_000_000;

/// An amount of money either way, in cents.
///
/// # Errors
/// 422 when it is none, or outside the bounds.
pub(super) fn cents(field: &'static str, json: &RawValue) -> Result<i64, Problem> {
    let message = "is an amount such as -25.00: at most two digits after the point, within 10 trillion either way";
    let cents = decimal::parse(json, 2).ok();
    within(CENTS_MAX, cents).ok_or_else(|| Problem::fields(vec![FieldError::new(field, "INVALID_AMOUNT", message)]))
}

/// A number of shares either way.
///
/// # Errors
/// 422 when it is none, or outside the bounds.
pub(super) fn shares(field: &'static str, json: &RawValue) -> Result<i64, Problem> {
    let message = "is a whole number of shares such as -3, within a trillion either way";
    let shares = decimal::parse(json, 0).ok();
    within(QUANTITY_MAX, shares)
        .ok_or_else(|| Problem::fields(vec![FieldError::new(field, "INVALID_QUANTITY", message)]))
}

fn within(most: i64, number: Option<i64>) -> Option<i64> {
    number.filter(|number| (-most..=most).contains(number))
}
