//! What a caller is told for each reason of a refusal: one table.

use std::time::Duration;

use axum::http::StatusCode;
use brokerx_json::names;
use brokerx_schemas::{Reason, Refusal};
use brokerx_topics::service::clock::{now_us, until_midnight};

use crate::http::Problem;

/// The status of a refusal for each reason. The code is the reason's own name.
pub fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::TooManyRequests | Reason::PaymentLimit => StatusCode::TOO_MANY_REQUESTS,
        Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::IdempotencyMismatch
        | Reason::VersionConflict
        | Reason::OrderClosed
        | Reason::ChangePending
        | Reason::AlreadyListed
        | Reason::AccountUnsound => StatusCode::CONFLICT,
        // These decisions are final: the same id or key would bring the same answer again.
        Reason::ExpiredRequest
        | Reason::AccountNotActive
        | Reason::Frozen
        | Reason::InvalidQuantity
        | Reason::InvalidPrice
        | Reason::InvalidAmount
        | Reason::InvalidCurrency
        | Reason::InvalidOrder
        | Reason::OrderLimit
        | Reason::InsufficientFunds
        | Reason::InsufficientShares
        | Reason::UnknownSymbol
        | Reason::MarketClosed
        | Reason::Halted
        | Reason::PriceBand
        | Reason::PostOnlyWouldCross
        | Reason::FokUnfillable
        | Reason::SelfTrade
        | Reason::NoLiquidity
        | Reason::CancelledByClient
        | Reason::CancelledAll
        | Reason::SessionEnded
        | Reason::Delisted
        | Reason::RefusedByProvider
        | Reason::QuantityBelowFilled
        | Reason::DisplayTooSmall
        | Reason::Unknown => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn detail(reason: Reason) -> &'static str {
    match reason {
        Reason::ExpiredRequest => {
            "the request was found after its deadline and did nothing; it may be sent anew under another id"
        }
        Reason::IdempotencyMismatch => "the idempotency key was used before with other content",
        Reason::TooManyRequests => "too many idempotency keys are remembered for this account",
        Reason::NotFound => "there is no such order or account",
        Reason::VersionConflict => "the order has another version by now",
        Reason::OrderClosed => "the order is filled or ended",
        Reason::ChangePending => "a replace of this order is still in flight",
        Reason::AccountNotActive => "the account is not active, or its kill switch is on",
        Reason::Frozen => "the account or instrument is frozen",
        Reason::InvalidQuantity => "the quantity is outside the rules",
        Reason::InvalidPrice => "the price is missing, off the tick, or outside the range",
        Reason::InvalidAmount => "the amount is outside the limits",
        Reason::InvalidCurrency => "the currency is not served",
        Reason::InvalidOrder => "the combination of fields makes no sense, or is not served",
        Reason::OrderLimit => "the order is beyond the account's limits",
        Reason::InsufficientFunds => "there is not enough available cash",
        Reason::InsufficientShares => "there are not enough available shares",
        Reason::UnknownSymbol => "there is no such instrument, or it is delisted",
        Reason::AlreadyListed => "the instrument is listed already, with other content",
        Reason::MarketClosed => "the market is closed",
        Reason::Halted => "the instrument is halted",
        Reason::PriceBand => "the price is too far from the last trade",
        Reason::PostOnlyWouldCross => "the post-only order would have traded",
        Reason::FokUnfillable => "the order could not be filled whole",
        Reason::SelfTrade => "the order would have traded with one of the same account",
        Reason::NoLiquidity => "there was nothing to trade with",
        Reason::CancelledByClient => "the client cancelled it",
        Reason::CancelledAll => "all orders were cancelled",
        Reason::SessionEnded => "the session ended",
        Reason::Delisted => "the instrument was delisted",
        Reason::RefusedByProvider => "the payment provider refused",
        Reason::PaymentLimit => "the account has made all the payments of this kind that it may make today (UTC)",
        Reason::AccountUnsound => {
            "the account cannot be thawed: an order of it is still open, or cash or a position has to be corrected"
        }
        Reason::QuantityBelowFilled => "more than the new quantity has traded already",
        Reason::DisplayTooSmall => "the order would show less of its quantity than it must",
        Reason::Unknown => "the request was refused",
    }
}

/// The problem for a reason.
pub fn problem(reason: Reason) -> Problem {
    let code = if reason == Reason::Unknown {
        "REFUSED".to_owned()
    } else {
        names::symbol(reason)
    };
    let problem = Problem::new(status(reason), code, detail(reason));
    match reason {
        // Keys are forgotten after hours, not seconds, so one try a minute is enough.
        Reason::TooManyRequests => problem.retry_after(Duration::from_secs(60)),
        Reason::PaymentLimit => problem.retry_after(until_midnight(now_us())),
        _ => problem,
    }
}

/// The problem for a refusal. After a version conflict it carries the order's current version.
pub fn refused(refusal: &Refusal) -> Problem {
    let problem = problem(refusal.reason);
    match refusal.current_version {
        Some(version) => problem.with("current_version", version),
        None => problem,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_status_and_code() {
        for (reason, status, code, retry) in [
            (Reason::ExpiredRequest, 422, "EXPIRED_REQUEST", None),
            (Reason::IdempotencyMismatch, 409, "IDEMPOTENCY_MISMATCH", None),
            (Reason::TooManyRequests, 429, "TOO_MANY_REQUESTS", Some(60)),
            (Reason::NotFound, 404, "NOT_FOUND", None),
            (Reason::VersionConflict, 409, "VERSION_CONFLICT", None),
            (Reason::OrderClosed, 409, "ORDER_CLOSED", None),
            (Reason::ChangePending, 409, "CHANGE_PENDING", None),
            (Reason::AlreadyListed, 409, "ALREADY_LISTED", None),
            (Reason::AccountNotActive, 422, "ACCOUNT_NOT_ACTIVE", None),
            (Reason::InsufficientFunds, 422, "INSUFFICIENT_FUNDS", None),
            (Reason::InsufficientShares, 422, "INSUFFICIENT_SHARES", None),
            (Reason::PriceBand, 422, "PRICE_BAND", None),
            (Reason::FokUnfillable, 422, "FOK_UNFILLABLE", None),
            (Reason::QuantityBelowFilled, 422, "QUANTITY_BELOW_FILLED", None),
            (Reason::DisplayTooSmall, 422, "DISPLAY_TOO_SMALL", None),
            (Reason::Unknown, 422, "REFUSED", None),
        ] {
            let problem = problem(reason);
            assert_eq!(
                (problem.status().as_u16(), problem.code(), problem.retry_after_seconds()),
                (status, code, retry)
            );
        }
    }

    #[test]
    fn a_limit_of_the_day_ends_at_midnight() {
        let problem = problem(Reason::PaymentLimit);
        assert_eq!((problem.status().as_u16(), problem.code()), (429, "PAYMENT_LIMIT"));
        assert!((1..=86_400).contains(&problem.retry_after_seconds().unwrap()));
    }

    #[test]
    fn a_version_conflict_tells_the_current_version() {
        let refusal = Refusal {
            reason: Reason::VersionConflict,
            current_version: Some(4),
        };
        let body: serde_json::Value = serde_json::from_slice(&refused(&refusal).body("c")).unwrap();
        assert_eq!(body["current_version"], 4);
    }
}
