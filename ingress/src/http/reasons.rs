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
            "the request came too late to be carried out and did nothing; send it anew under another id or key"
        }
        Reason::IdempotencyMismatch => "the id or idempotency key was used before, for a request with other content",
        Reason::TooManyRequests => {
            "too many ids and keys of this account are remembered, or too many cancels of the order wait; try again later"
        }
        Reason::NotFound => "there is no such order or account",
        Reason::VersionConflict => "the order was changed meanwhile: its version is not the one that the request names",
        Reason::OrderClosed => "the order is no longer open",
        Reason::ChangePending => "another change of this order is not decided yet; try again in a moment",
        Reason::AccountNotActive => "the account is not active, or its trading was stopped by the kill switch",
        Reason::Frozen => {
            "the account or the instrument is frozen until an operator has looked into it; a frozen account can still cancel"
        }
        Reason::InvalidQuantity => "the quantity is not a number of shares that is taken here",
        Reason::InvalidPrice => {
            "the price is missing, no multiple of the instrument's tick size, or outside the range of prices"
        }
        Reason::InvalidAmount => "the amount is smaller or larger than what is taken here",
        Reason::InvalidCurrency => "payments in this currency are not taken",
        Reason::InvalidOrder => "these terms do not go together in one order, or are not taken here",
        Reason::OrderLimit => {
            "the order is larger than the account's limits allow, or the account has too many open orders"
        }
        Reason::InsufficientFunds => "there is not enough available cash",
        Reason::InsufficientShares => "there are not enough available shares",
        Reason::UnknownSymbol => "there is no such instrument, or it is delisted",
        Reason::AlreadyListed => "the instrument is listed already, with other content",
        Reason::MarketClosed => "the market is closed at the moment",
        Reason::Halted => "trading in the instrument is halted",
        Reason::PriceBand => "the price is too far from that of the last trade",
        Reason::PostOnlyWouldCross => "the order is post-only and would have traded at once",
        Reason::FokUnfillable => "the order is fill-or-kill (FOK) and could not be filled whole at once",
        Reason::SelfTrade => "the order would have traded with one of the same account",
        Reason::NoLiquidity => "there was nothing to trade with",
        Reason::CancelledByClient => "the client cancelled it",
        Reason::CancelledAll => "all orders were cancelled",
        Reason::SessionEnded => "the trading session ended",
        Reason::Delisted => "the instrument was delisted",
        Reason::RefusedByProvider => "the payment provider refused the payment",
        Reason::PaymentLimit => "the account has made all the payments of this kind that it may make today (UTC)",
        Reason::AccountUnsound => {
            "the account cannot be thawed: an order of it is still open, or cash or a position has to be corrected"
        }
        Reason::QuantityBelowFilled => "more than the new quantity has traded already",
        Reason::DisplayTooSmall => "display_quantity is a smaller part of the quantity than is allowed",
        Reason::Unknown => "the request was refused for a reason that this release has no words for",
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
