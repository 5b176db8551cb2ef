//! The collar of a market order: the worst price that it may trade at.

use brokerx_schemas::Side;

/// The reference price plus (buy) or minus (sell) `collar_bps`, rounded inwards to the tick and kept
/// within the prices that orders may have; none when no tick lies within the collar.
pub fn collar_cents(
    side: Side,
    reference_cents: i64,
    collar_bps: i32,
    tick_cents: i64,
    (price_cents_min, price_cents_max): (i64, i64),
) -> Option<i64> {
    let (reference, bps, tick) = (
        i128::from(reference_cents),
        i128::from(collar_bps),
        i128::from(tick_cents),
    );
    if reference <= 0 || tick <= 0 {
        return None;
    }
    // Counted in units of 1/10,000 cent, so that only the last step rounds.
    let unit = 10_000 * tick;
    let (price_cents, inside) = match side {
        Side::Buy => {
            let ceiling = (reference * (10_000 + bps)).min(i128::from(price_cents_max) * 10_000);
            let price = ceiling.div_euclid(unit) * tick;
            (price, price >= i128::from(price_cents_min))
        }
        Side::Sell => {
            let floor = (reference * (10_000 - bps)).max(i128::from(price_cents_min) * 10_000);
            let price = (floor + unit - 1).div_euclid(unit) * tick;
            (price, price <= i128::from(price_cents_max))
        }
        Side::Unknown => return None,
    };
    i64::try_from(price_cents).ok().filter(|price| inside && *price > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collar_is_rounded_inwards() {
        let range = (100, 1_000_000);
        for (side, reference, tick, expected) in [
            (Side::Buy, 18_550, 1, Some(19_477)),  // 19,477.5
            (Side::Sell, 18_550, 1, Some(17_623)), // 17,622.5
            (Side::Buy, 10_000, 1, Some(10_500)),
            (Side::Sell, 10_000, 1, Some(9_500)),
            (Side::Buy, 10_001, 5, Some(10_500)), // 10,501.05
            (Side::Sell, 10_001, 5, Some(9_505)), // 9,500.95
            (Side::Buy, 990_000, 1, Some(1_000_000)),
            (Side::Sell, 102, 1, Some(100)),
            (Side::Buy, 0, 1, None),
            (Side::Buy, 90, 1, None), // the ceiling is below the lowest price
            (Side::Unknown, 10_000, 1, None),
        ] {
            assert_eq!(
                collar_cents(side, reference, 500, tick, range),
                expected,
                "{side:?} {reference} {tick}"
            );
        }
    }
}
