//! A deposit or withdrawal in JSON.

use brokerx_schemas::{PaymentDirection, PaymentView};
use serde::Serialize;

use crate::time::rfc3339;
use crate::{Cents, names};

/// A deposit or withdrawal.
#[derive(Clone, Debug, Serialize)]
pub struct PaymentBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    deposit_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawal_id: Option<String>,
    amount: Cents,
    currency: String,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    created_at: String,
    updated_at: String,
}

impl From<&PaymentView> for PaymentBody {
    fn from(payment: &PaymentView) -> Self {
        let id = Some(payment.payment_id.to_string());
        let withdrawal = payment.direction == PaymentDirection::Withdrawal;
        Self {
            deposit_id: id.clone().filter(|_| !withdrawal),
            withdrawal_id: id.filter(|_| withdrawal),
            amount: Cents(payment.amount_cents),
            currency: payment.currency.clone(),
            status: names::lower(payment.status),
            reason: payment.reason.map(names::symbol),
            created_at: rfc3339(payment.created_us),
            updated_at: rfc3339(payment.updated_us),
        }
    }
}
