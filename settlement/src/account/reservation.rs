//! What an open order must have reserved, and the bookkeeping of it.
//!
//! A buy reserves cash: what is left x its worst price, plus the most that its fees can still grow.
//! A sell reserves the shares that are left. While a replace is in flight the book may apply it
//! after any number of further fills on the old terms, so every share that is left reserves the
//! greater of its old and its new price; with an equal price or an equal quantity that is just the
//! greater of the two orders. An order that has ended reserves nothing.

use brokerx_schemas::{OrderType, Side, Symbol};

use super::entries::Entries;
use super::order::{Order, Terms};
use super::position::{Cash, Position};

/// Cash or shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reservation {
    pub(super) cents: i64,
    pub(super) quantity: i64,
}

impl Order {
    /// The worst price per share under some terms: the limit, or the collar of an order without one.
    pub(super) fn worst_price_cents(&self, terms: &Terms) -> i64 {
        match self.order_type {
            OrderType::Limit | OrderType::StopLimit => terms.price_cents,
            OrderType::Market | OrderType::Stop | OrderType::Unknown => self.collar_price_cents,
        }
        .unwrap_or(0)
    }

    /// What must be reserved as the order stands, with `change` in flight; none on overflow.
    pub(super) fn required(&self, change: Option<&Terms>) -> Option<Reservation> {
        if !self.is_open() {
            return Some(Reservation::default());
        }
        let left = |terms: &Terms| (terms.quantity - self.traded.quantity).max(0);
        let standing_left = left(&self.terms);
        let change_left = change.map_or(0, left);
        if self.side == Side::Sell {
            return Some(Reservation {
                cents: 0,
                quantity: standing_left.max(change_left),
            });
        }
        let standing_price = self.worst_price_cents(&self.terms);
        let change_price = change.map_or(0, |terms| self.worst_price_cents(terms));
        let both = standing_left.min(change_left);
        let notional = i128::from(both) * i128::from(standing_price.max(change_price))
            + i128::from(standing_left - both) * i128::from(standing_price)
            + i128::from(change_left - both) * i128::from(change_price);
        let notional = i64::try_from(notional).ok()?;
        Some(Reservation {
            cents: notional.checked_add(self.fees.outstanding_cents(&self.traded, notional)?)?,
            quantity: 0,
        })
    }
}

/// Reserves for an order what it requires now and releases the rest. Returns whether anything
/// changed. Where more is required, the caller has checked that it is available. An overflow leaves
/// everything as it was: what is required only shrinks once an order is accepted.
pub(super) fn adjust(cash: &mut Cash, positions: &mut Entries<Symbol, Position>, order: &mut Order) -> bool {
    let Some(required) = order.required(order.asked()) else {
        return false;
    };
    let cents = required.cents - order.reserved_cents;
    let quantity = required.quantity - order.reserved_quantity;
    cash.reserved_cents += cents;
    order.reserved_cents = required.cents;
    if quantity != 0 {
        positions.edit_or_default(order.symbol).reserved_quantity += quantity;
        order.reserved_quantity = required.quantity;
    }
    cents != 0 || quantity != 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_schemas::{Config, Liquidity, OrderId, OrderStatus, SelfTradePrevention, TimeInForce};

    use super::*;
    use crate::account::fees::{FeeSchedule, Traded};
    use crate::account::order::{CancelInFlight, Executions};

    fn order(side: Side, quantity: i64, price_cents: i64, taker_fee_bps: i32) -> Order {
        Order {
            id: OrderId(1),
            client_order_id: "a".into(),
            content: 0,
            symbol: Symbol::new("AAPL").unwrap(),
            side,
            order_type: OrderType::Limit,
            stop_price_cents: None,
            collar_price_cents: None,
            post_only: false,
            display_quantity: None,
            self_trade_prevention: SelfTradePrevention::CancelIncoming,
            terms: terms(quantity, price_cents),
            change: None,
            fees: FeeSchedule::of(&Config {
                taker_fee_bps,
                ..Config::default()
            }),
            status: OrderStatus::Working,
            reason: None,
            version: 1,
            event_seq: 1,
            traded: Traded::default(),
            reserved_cents: 0,
            reserved_quantity: 0,
            created_us: 0,
            updated_us: 0,
            in_flight: 0,
            closed_us: None,
            executions: Executions::default(),
            cancel: CancelInFlight::default(),
        }
    }

    fn terms(quantity: i64, price_cents: i64) -> Terms {
        Terms {
            quantity,
            price_cents: Some(price_cents),
            time_in_force: TimeInForce::Gtc,
        }
    }

    #[test]
    fn a_buy_reserves_its_notional_and_the_highest_fee() {
        // quantity, price, fee bps -> cents
        for (quantity, price, taker_bps, cents) in [
            (10, 18_550, 5, 185_593),
            (1, 100, 5, 100),
            (1, 1_000, 5, 1_001),
            // The maker's 2 bps are the higher rate here.
            (10, 18_550, 0, 185_537),
        ] {
            assert_eq!(
                order(Side::Buy, quantity, price, taker_bps)
                    .required(None)
                    .unwrap()
                    .cents,
                cents
            );
        }
        let sell = order(Side::Sell, 10, 18_550, 5).required(None).unwrap();
        assert_eq!((sell.cents, sell.quantity), (0, 10));
    }

    #[test]
    fn a_replace_in_flight_reserves_the_worst_of_both_terms_share_by_share() {
        let order = order(Side::Buy, 10, 10_000, 0);
        let cents = |quantity, price| order.required(Some(&terms(quantity, price))).unwrap().cents;
        let fee = |notional: i64| (notional * 2 + 5_000) / 10_000;
        for (quantity, price, notional) in [
            (10, 12_000, 120_000),
            (10, 8_000, 100_000),
            (20, 10_000, 200_000),
            (5, 10_000, 100_000),
            // Ten may trade at the old price before ten more come at the new one.
            (20, 6_000, 160_000),
            (5, 12_000, 110_000),
        ] {
            assert_eq!(
                cents(quantity, price),
                notional + fee(notional),
                "{quantity} at {price}"
            );
        }
    }

    #[test]
    fn what_is_left_is_always_covered() {
        for price in [100, 101, 999, 1_000, 18_550] {
            for traded_price in [1, 50, 100] {
                let mut order = order(Side::Buy, 7, price, 5);
                let mut cash = Cash {
                    balance_cents: 1_000_000,
                    reserved_cents: 0,
                };
                let mut positions = Entries::default();
                assert!(adjust(&mut cash, &mut positions, &mut order));
                for _ in 0..7 {
                    let available = cash.available_cents();
                    let notional = price.min(traded_price);
                    let mut traded = order.traded.with_fill(1, notional, Liquidity::Taker).unwrap();
                    traded.fees_cents = order.fees.cumulative_cents(Side::Buy, &traded).unwrap();
                    cash.balance_cents -= notional + traded.fees_cents - order.traded.fees_cents;
                    order.traded = traded;
                    adjust(&mut cash, &mut positions, &mut order);
                    assert!(
                        cash.available_cents() >= available,
                        "a fill never takes from what is available"
                    );
                    assert!(cash.is_sound());
                }
                assert_eq!(cash.reserved_cents, 0, "nothing is left reserved after the last share");
            }
        }
    }
}
