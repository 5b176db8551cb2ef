//! A deposit or withdrawal, and what is remembered of it.

use serde::{Deserialize, Serialize};

use brokerx_schemas::{PaymentDirection, PaymentId, PaymentStatus, PaymentView, Reason};

use super::answer::Answer;

/// A deposit or withdrawal.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub(super) struct Payment {
    pub(super) direction: PaymentDirection,
    pub(super) amount_cents: i64,
    pub(super) currency: Box<str>,
    pub(super) status: PaymentStatus,
    pub(super) created_us: i64,
    pub(super) updated_us: i64,
    /// Who waits for the outcome.
    pub(super) answer: Option<Answer>,
}

impl Payment {
    /// What the account has reserved for it.
    pub(super) fn reserved_cents(&self) -> i64 {
        let reserves = self.direction == PaymentDirection::Withdrawal && self.status == PaymentStatus::Pending;
        if reserves { self.amount_cents } else { 0 }
    }

    pub(super) fn view(&self, payment_id: PaymentId) -> PaymentView {
        PaymentView {
            payment_id,
            direction: self.direction,
            amount_cents: self.amount_cents,
            currency: self.currency.to_string(),
            status: self.status,
            reason: (self.status == PaymentStatus::Failed).then_some(Reason::RefusedByProvider),
            created_us: self.created_us,
            updated_us: self.updated_us,
        }
    }
}

/// What is remembered of a payment's key.
#[derive(Clone, Copy, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub(super) struct PaymentKey {
    pub(super) content: u128,
    pub(super) payment_id: PaymentId,
}

/// Payments of one direction on one UTC day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Hash, Serialize, Deserialize)]
pub(super) struct PaymentDay {
    /// Days since the epoch.
    pub(super) day: i64,
    pub(super) count: i32,
}

impl PaymentDay {
    pub(super) fn count_on(&self, day: i64) -> i32 {
        if self.day == day { self.count } else { 0 }
    }
}
