//! What an order costs: cumulative fees, rounded once.

use serde::{Deserialize, Serialize};

use brokerx_schemas::{Config, Liquidity, Side};

/// The fees that an order was accepted under; it keeps them to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct FeeSchedule {
    maker_bps: i32,
    taker_bps: i32,
    minimum_cents: i64,
}

/// What an order has traded and paid so far. All amounts are positive cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Traded {
    pub(super) quantity: i64,
    pub(super) maker_notional_cents: i64,
    pub(super) taker_notional_cents: i64,
    pub(super) fees_cents: i64,
}

impl Traded {
    /// Sum of price x quantity of the executions.
    pub(super) fn notional_cents(&self) -> i64 {
        self.maker_notional_cents + self.taker_notional_cents
    }

    /// This with one more fill, its fee not yet counted; none on overflow.
    pub(super) fn with_fill(&self, quantity: i64, notional_cents: i64, liquidity: Liquidity) -> Option<Self> {
        let mut after = Self {
            quantity: self.quantity.checked_add(quantity)?,
            ..*self
        };
        let notional = match liquidity {
            Liquidity::Maker => &mut after.maker_notional_cents,
            Liquidity::Taker | Liquidity::Unknown => &mut after.taker_notional_cents,
        };
        *notional = notional.checked_add(notional_cents)?;
        after.maker_notional_cents.checked_add(after.taker_notional_cents)?;
        Some(after)
    }
}

impl FeeSchedule {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            maker_bps: config.maker_fee_bps,
            taker_bps: config.taker_fee_bps,
            minimum_cents: config.minimum_fee_cents,
        }
    }

    /// The cumulative fee after `traded`, whose `fees_cents` are those charged before: never less
    /// than those, and on a sell never more than the proceeds. None on overflow.
    pub(super) fn cumulative_cents(&self, side: Side, traded: &Traded) -> Option<i64> {
        let basis = self.weighted(traded);
        let proceeds = (side == Side::Sell).then_some(traded.notional_cents());
        self.rounded(basis, traded.quantity > 0, proceeds, traded.fees_cents)
    }

    /// The most that a buy can still have to pay in fees, when `notional_cents` more can trade, all
    /// of it at the higher rate. None on overflow.
    pub(super) fn outstanding_cents(&self, traded: &Traded, notional_cents: i64) -> Option<i64> {
        let highest_bps = self.maker_bps.max(self.taker_bps).max(0);
        let basis = self.weighted(traded) + i128::from(notional_cents) * i128::from(highest_bps);
        let worst = self.rounded(
            basis,
            traded.quantity > 0 || notional_cents > 0,
            None,
            traded.fees_cents,
        )?;
        worst.checked_sub(traded.fees_cents)
    }

    fn weighted(&self, traded: &Traded) -> i128 {
        i128::from(traded.maker_notional_cents) * i128::from(self.maker_bps)
            + i128::from(traded.taker_notional_cents) * i128::from(self.taker_bps)
    }

    /// `basis` is in cents x basis points.
    fn rounded(&self, basis: i128, any: bool, most: Option<i64>, before: i64) -> Option<i64> {
        let half_up = (basis.max(0) + 5_000) / 10_000;
        let minimum = if any { self.minimum_cents.max(0) } else { 0 };
        let fee = i64::try_from(half_up).ok()?.max(minimum);
        Some(fee.min(most.unwrap_or(i64::MAX)).max(before))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn schedule(maker_bps: i32, taker_bps: i32, minimum_cents: i64) -> FeeSchedule {
        FeeSchedule {
            maker_bps,
            taker_bps,
            minimum_cents,
        }
    }

    /// The fee of each fill `(notional, liquidity)` in turn.
    fn fees(schedule: FeeSchedule, side: Side, fills: &[(i64, Liquidity)]) -> Vec<i64> {
        let mut traded = Traded::default();
        fills
            .iter()
            .map(|(notional, liquidity)| {
                let mut after = traded.with_fill(1, *notional, *liquidity).unwrap();
                after.fees_cents = schedule.cumulative_cents(side, &after).unwrap();
                let fee = after.fees_cents - traded.fees_cents;
                traded = after;
                fee
            })
            .collect()
    }

    #[test]
    fn the_fee_is_rounded_once_over_all_fills() {
        use Liquidity::{Maker, Taker};
        type Case<'a> = (FeeSchedule, Side, &'a [(i64, Liquidity)], &'a [i64]);
        let table: &[Case] = &[
            // 5 bps of 1,000 is 0.5, rounded up; of 999 it is 0.4995.
            (schedule(2, 5, 0), Side::Buy, &[(1_000, Taker)], &[1]),
            (schedule(2, 5, 0), Side::Buy, &[(999, Taker)], &[0]),
            // Each alone would be 0.45 and cost nothing: together they are 0.45, 0.9, 1.35, 1.8.
            (schedule(2, 5, 0), Side::Sell, &[(900, Taker); 4], &[0, 1, 0, 1]),
            // Maker and taker notional apart, one rounding: 0.2 + 0.3 = 0.5.
            (schedule(2, 5, 0), Side::Buy, &[(1_000, Maker), (600, Taker)], &[0, 1]),
            // The minimum is due with the first fill and covers the next ones.
            (
                schedule(0, 10, 100),
                Side::Buy,
                &[(50_000, Taker), (50_000, Taker), (50_000, Taker)],
                &[100, 0, 50],
            ),
            // On a sell the fee never exceeds the proceeds so far.
            (
                schedule(0, 10, 500),
                Side::Sell,
                &[(300, Taker), (300, Taker)],
                &[300, 200],
            ),
            // On a buy it may.
            (
                schedule(0, 10, 500),
                Side::Buy,
                &[(300, Taker), (300, Taker)],
                &[500, 0],
            ),
            // A rebate lowers fees to come; it never pays any back.
            (
                schedule(-10, 10, 0),
                Side::Buy,
                &[(10_000, Taker), (20_000, Maker), (20_000, Taker)],
                &[10, 0, 0],
            ),
        ];
        for (schedule, side, fills, expected) in table {
            assert_eq!(
                fees(*schedule, *side, fills),
                *expected,
                "{schedule:?} {side:?} {fills:?}"
            );
        }
    }

    #[test]
    fn what_is_outstanding_is_at_the_higher_rate() {
        let traded = Traded {
            quantity: 1,
            maker_notional_cents: 10_000,
            taker_notional_cents: 0,
            fees_cents: 2,
        };
        assert_eq!(schedule(2, 5, 0).outstanding_cents(&traded, 10_000), Some(5));
        assert_eq!(schedule(5, 2, 0).outstanding_cents(&Traded::default(), 10_000), Some(5));
        assert_eq!(
            schedule(2, 5, 80).outstanding_cents(&Traded::default(), 10_000),
            Some(80)
        );
        assert_eq!(schedule(2, 5, 80).outstanding_cents(&Traded::default(), 0), Some(0));
        assert_eq!(
            schedule(0, i32::MAX, 0).outstanding_cents(&Traded::default(), i64::MAX),
            None
        );
    }
}
