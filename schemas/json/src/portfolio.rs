//! Cash and positions in JSON, the same wherever they are shown.

use brokerx_schemas::{CashView, PositionView};
use serde::Serialize;

use crate::{Cents, divide_half_up};

/// An account's cash.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct CashBody {
    balance: Cents,
    available: Cents,
    reserved: Cents,
}

impl From<&CashView> for CashBody {
    fn from(cash: &CashView) -> Self {
        Self {
            balance: Cents(cash.balance_cents),
            available: Cents(cash.balance_cents - cash.reserved_cents),
            reserved: Cents(cash.reserved_cents),
        }
    }
}

/// The shares of one instrument that an account holds.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct PositionBody {
    symbol: String,
    quantity: i64,
    available: i64,
    reserved: i64,
    /// Rounded half up to the cent; null without shares.
    average_price: Option<Cents>,
}

impl From<&PositionView> for PositionBody {
    fn from(position: &PositionView) -> Self {
        Self {
            symbol: position.symbol.to_string(),
            quantity: position.quantity,
            available: position.quantity - position.reserved_quantity,
            reserved: position.reserved_quantity,
            average_price: divide_half_up(position.cost_cents, position.quantity).map(Cents),
        }
    }
}
