//! What a command meets before it reaches the book.

use brokerx_schemas::{Config, NewOrder, OrderType, Reason, ReplaceBookOrder};

use super::Matcher;
use super::listing::Listing;
use crate::book::{Incoming, QUANTITY_MAX, SelfTradePrevention, Side, Ticks, TimeInForce};

/// Basis points of the whole.
const WHOLE_BPS: i128 = 10_000;

impl Matcher {
    /// The listing of a symbol that can be named: not delisted, not frozen.
    pub(super) fn live(&self, symbol: brokerx_schemas::Symbol) -> Result<usize, Reason> {
        let index = *self.by_symbol.get(&symbol).ok_or(Reason::UnknownSymbol)?;
        let standing = self.listings[index].standing;
        if standing.delisted {
            Err(Reason::UnknownSymbol)
        } else if standing.frozen {
            Err(Reason::Frozen)
        } else {
            Ok(index)
        }
    }

    /// Turns a new order into what the book takes.
    pub(super) fn admit(&self, order: &NewOrder) -> Result<(usize, Incoming), Reason> {
        let index = self.live(order.symbol)?;
        let listing = &self.listings[index];
        if !(1..=QUANTITY_MAX).contains(&order.quantity) {
            return Err(Reason::InvalidQuantity);
        }
        let side = side_of(order.side).ok_or(Reason::InvalidOrder)?;
        let limit = match order.order_type {
            OrderType::Limit => limit_ticks(&self.config, listing, order.price_cents)?,
            OrderType::Market if order.price_cents.is_some() => return Err(Reason::InvalidOrder),
            OrderType::Market => collar_ticks(listing, side, order.collar_price_cents)?,
            OrderType::Stop | OrderType::StopLimit | OrderType::Unknown => return Err(Reason::InvalidOrder),
        };
        let mut time_in_force = time_in_force_of(order.time_in_force).ok_or(Reason::InvalidOrder)?;
        if order.order_type == OrderType::Market && time_in_force.rests() {
            time_in_force = TimeInForce::Ioc;
        }
        let self_trade_prevention = prevention_of(order.self_trade_prevention).ok_or(Reason::InvalidOrder)?;
        let is_known = listing.book.order(order.order_id.0).is_some();
        if order.order_id.0 < 0
            || is_known
            || order.stop_price_cents.is_some()
            || order.display_quantity.is_some()
            || (order.post_only && !time_in_force.rests())
        {
            return Err(Reason::InvalidOrder);
        }
        trades_now(listing)?;
        if order.order_type == OrderType::Limit {
            within_band(listing, limit)?;
        }
        let incoming = Incoming {
            order_id: order.order_id.0,
            account_id: order.account_id.0,
            side,
            limit,
            quantity: order.quantity,
            leaves: order.quantity,
            time_in_force,
            post_only: order.post_only,
            self_trade_prevention,
            replaces: false,
        };
        Ok((index, incoming))
    }

    /// The checks on new terms of an order that rests at `old_price`.
    pub(super) fn admit_terms(
        &self,
        listing: &Listing,
        terms: &ReplaceBookOrder,
        old_price: Ticks,
    ) -> Result<(Ticks, TimeInForce), Reason> {
        if !(1..=QUANTITY_MAX).contains(&terms.quantity) {
            return Err(Reason::InvalidQuantity);
        }
        let price = limit_ticks(&self.config, listing, terms.price_cents)?;
        let time_in_force = time_in_force_of(terms.time_in_force)
            .filter(|time_in_force| time_in_force.rests())
            .ok_or(Reason::InvalidOrder)?;
        trades_now(listing)?;
        // A price that stays may have been left behind by the market.
        if price != old_price {
            within_band(listing, price)?;
        }
        Ok((price, time_in_force))
    }
}

fn trades_now(listing: &Listing) -> Result<(), Reason> {
    if listing.standing.session_closed {
        Err(Reason::MarketClosed)
    } else if listing.standing.halted {
        Err(Reason::Halted)
    } else {
        Ok(())
    }
}

fn limit_ticks(config: &Config, listing: &Listing, price_cents: Option<i64>) -> Result<Ticks, Reason> {
    let price_cents = price_cents.ok_or(Reason::InvalidPrice)?;
    let tick_cents = listing.instrument.tick_size_cents;
    let in_range = (config.price_cents_min..=config.price_cents_max).contains(&price_cents) && price_cents > 0;
    if in_range && price_cents % tick_cents == 0 {
        Ok(price_cents / tick_cents)
    } else {
        Err(Reason::InvalidPrice)
    }
}

/// A limit may be up to the band away from the reference, exactly.
fn within_band(listing: &Listing, limit: Ticks) -> Result<(), Reason> {
    let reference = i128::from(listing.reference_cents());
    let distance = (i128::from(listing.cents(limit)) - reference).abs();
    if distance * WHOLE_BPS > i128::from(listing.instrument.band_bps) * reference {
        Err(Reason::PriceBand)
    } else {
        Ok(())
    }
}

/// The worst price of a market order: the tighter of its own collar and the instrument's band, both
/// rounded inwards to the tick.
fn collar_ticks(listing: &Listing, side: Side, own_cents: Option<i64>) -> Result<Ticks, Reason> {
    if own_cents.is_some_and(|own| own <= 0) {
        return Err(Reason::InvalidPrice);
    }
    let reference = i128::from(listing.reference_cents());
    let band_bps = i128::from(listing.instrument.band_bps);
    let tick_cents = i128::from(listing.instrument.tick_size_cents);
    let own_ticks = own_cents.map(|own| match side {
        Side::Buy => own.div_euclid(listing.instrument.tick_size_cents),
        Side::Sell => -(-own).div_euclid(listing.instrument.tick_size_cents),
    });
    let band_ticks = match side {
        Side::Buy => (reference * (WHOLE_BPS + band_bps)).div_euclid(WHOLE_BPS * tick_cents),
        Side::Sell => -(-reference * (WHOLE_BPS - band_bps)).div_euclid(WHOLE_BPS * tick_cents),
    };
    // A reference times less than three is far from the limits of 64 bits: prices are cents of shares.
    let band_ticks = Ticks::try_from(band_ticks).map_err(|_| Reason::InvalidPrice)?;
    Ok(match (side, own_ticks) {
        (_, None) => band_ticks,
        (Side::Buy, Some(own)) => own.min(band_ticks),
        (Side::Sell, Some(own)) => own.max(band_ticks),
    })
}

pub(super) fn side_of(side: brokerx_schemas::Side) -> Option<Side> {
    match side {
        brokerx_schemas::Side::Buy => Some(Side::Buy),
        brokerx_schemas::Side::Sell => Some(Side::Sell),
        brokerx_schemas::Side::Unknown => None,
    }
}

fn time_in_force_of(time_in_force: brokerx_schemas::TimeInForce) -> Option<TimeInForce> {
    match time_in_force {
        brokerx_schemas::TimeInForce::Day => Some(TimeInForce::Day),
        brokerx_schemas::TimeInForce::Gtc => Some(TimeInForce::Gtc),
        brokerx_schemas::TimeInForce::Ioc => Some(TimeInForce::Ioc),
        brokerx_schemas::TimeInForce::Fok => Some(TimeInForce::Fok),
        brokerx_schemas::TimeInForce::Unknown => None,
    }
}

fn prevention_of(prevention: brokerx_schemas::SelfTradePrevention) -> Option<SelfTradePrevention> {
    match prevention {
        brokerx_schemas::SelfTradePrevention::CancelIncoming => Some(SelfTradePrevention::CancelIncoming),
        brokerx_schemas::SelfTradePrevention::CancelResting => Some(SelfTradePrevention::CancelResting),
        brokerx_schemas::SelfTradePrevention::CancelBoth => Some(SelfTradePrevention::CancelBoth),
        brokerx_schemas::SelfTradePrevention::Unknown => None,
    }
}
