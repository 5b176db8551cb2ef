//! What goes over the wire between the payments stage and the provider.

use serde::{Deserialize, Serialize};

/// Which way the money goes, seen from the client's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// In.
    Deposit,
    /// Out.
    Withdrawal,
}

/// A payment that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentOrder {
    /// In or out.
    pub direction: Direction,
    /// The amount, more than 0.
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
}

/// Where a payment stands at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not decided; ask again.
    Pending,
    /// The money moved. Final.
    Settled,
    /// Refused for good; no money moved. Final.
    Failed,
}

/// The provider's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentAnswer {
    /// Where the payment stands.
    pub status: Status,
    /// The provider's own name of it.
    pub reference: String,
}
