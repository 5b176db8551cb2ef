//! Cash and shares of one account.

use serde::{Deserialize, Serialize};

use brokerx_schemas::{CashView, PositionView, Symbol};

/// Cash in cents. `0 <= reserved <= balance`, or the account is frozen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Cash {
    pub(super) balance_cents: i64,
    pub(super) reserved_cents: i64,
}

impl Cash {
    pub(super) fn available_cents(&self) -> i64 {
        self.balance_cents - self.reserved_cents
    }

    pub(super) fn is_sound(&self) -> bool {
        (0..=self.balance_cents).contains(&self.reserved_cents)
    }

    pub(super) fn view(&self) -> CashView {
        CashView {
            balance_cents: self.balance_cents,
            reserved_cents: self.reserved_cents,
        }
    }
}

/// Shares of one symbol. `0 <= reserved <= quantity` and `0 <= cost`, or the account is frozen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) quantity: i64,
    pub(super) reserved_quantity: i64,
    /// Total cost of the shares held, without fees.
    pub(super) cost_cents: i64,
}

impl Position {
    pub(super) fn available(&self) -> i64 {
        self.quantity - self.reserved_quantity
    }

    pub(super) fn is_sound(&self) -> bool {
        (0..=self.quantity).contains(&self.reserved_quantity) && self.cost_cents >= 0
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This with shares that arrive at a total cost; none on overflow.
    pub(super) fn with_arrival(&self, quantity: i64, cost_cents: i64) -> Option<Self> {
        Some(Self {
            quantity: self.quantity.checked_add(quantity)?,
            cost_cents: self.cost_cents.checked_add(cost_cents)?,
            ..*self
        })
    }

    /// This without shares that leave, and without their part of the cost, rounded half-up; the
    /// last share takes the rest. None when there are fewer shares.
    pub(super) fn with_departure(&self, quantity: i64) -> Option<Self> {
        if quantity > self.quantity {
            return None;
        }
        let removed = if quantity == self.quantity {
            self.cost_cents
        } else {
            let held = i128::from(self.quantity);
            let share = i128::from(self.cost_cents) * i128::from(quantity);
            i64::try_from((2 * share + held) / (2 * held)).ok()?
        };
        Some(Self {
            quantity: self.quantity - quantity,
            cost_cents: self.cost_cents.checked_sub(removed)?,
            ..*self
        })
    }

    pub(super) fn view(&self, symbol: Symbol) -> PositionView {
        PositionView {
            symbol,
            quantity: self.quantity,
            reserved_quantity: self.reserved_quantity,
            cost_cents: self.cost_cents,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_removes_its_share_of_the_cost_half_up() {
        // held, cost, sold -> cost left
        for (held, cost, sold, left) in [
            (3, 100, 1, 67),
            (3, 100, 2, 33),
            (3, 100, 3, 0),
            (2, 101, 1, 50),
            (2, 1, 1, 0),
            (4, 1, 1, 1),
            (10_000, 9_000_000_000_000_000, 1, 8_999_100_000_000_000),
        ] {
            let position = Position {
                quantity: held,
                reserved_quantity: 0,
                cost_cents: cost,
            };
            let after = position.with_departure(sold).unwrap();
            assert_eq!(
                (after.quantity, after.cost_cents),
                (held - sold, left),
                "{held} {cost} {sold}"
            );
        }
    }

    #[test]
    fn the_last_share_takes_the_rest() {
        let mut position = Position::default().with_arrival(7, 1_000).unwrap();
        for _ in 0..7 {
            assert!(position.is_sound());
            position = position.with_departure(1).unwrap();
        }
        assert!(position.is_empty());
        assert_eq!(position.with_departure(1), None);
    }
}
