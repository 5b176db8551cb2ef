//! The checks that a command meets before it reaches the book.

use std::cmp::Ordering;

use brokerx_schemas::{Config, NewOrder, OrderType, Reason, ReplaceBookOrder};

use super::listing::Listing;
use super::state::Matcher;
use crate::book::{Incoming, QUANTITY_MAX, SelfTradePrevention, Side, Stop, Ticks, TimeInForce};

/// No configuration allows a price beyond this: differences and sums of prices stay within 64 bits.
pub(super) const PRICE_CENTS_LIMIT: i64 = i64::MAX / 4;
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
    pub(super) fn admit(&self, order: &NewOrder) -> Result<(usize, Admitted), Reason> {
        let index = self.live(order.symbol)?;
        let listing = &self.listings[index];
        if !(1..=QUANTITY_MAX).contains(&order.quantity) {
            return Err(Reason::InvalidQuantity);
        }
        let side = side_of(order.side).ok_or(Reason::InvalidOrder)?;
        if order.order_type == OrderType::Unknown || order.price_cents.is_some() != has_limit(order.order_type) {
            return Err(match order.order_type {
                OrderType::Limit | OrderType::StopLimit => Reason::InvalidPrice,
                _ => Reason::InvalidOrder,
            });
        }
        let limit = match has_limit(order.order_type) {
            true => Some(limit_ticks(&self.config, listing, order.price_cents)?),
            false => None,
        };
        let is_stop = matches!(order.order_type, OrderType::Stop | OrderType::StopLimit);
        let stop = match is_stop {
            true => Some(limit_ticks(&self.config, listing, order.stop_price_cents)?),
            false => None,
        };
        let collar_cents = order.collar_price_cents.filter(|_| limit.is_none());
        if collar_cents.is_some_and(|collar| collar <= 0) {
            return Err(Reason::InvalidPrice);
        }
        let time_in_force = time_in_force_of(order.time_in_force).ok_or(Reason::InvalidOrder)?;
        let self_trade_prevention = prevention_of(order.self_trade_prevention).ok_or(Reason::InvalidOrder)?;
        // Post-only and an iceberg's display mean something only to a limit order that rests.
        let may_rest = order.order_type == OrderType::Limit && time_in_force.rests();
        let display = order.display_quantity;
        if order.order_id.0 < 0
            || listing.book.knows(order.order_id.0)
            || order.stop_price_cents.is_some() != is_stop
            || (order.post_only && !may_rest)
            || display.is_some_and(|display| !may_rest || !(1..=order.quantity).contains(&display))
        {
            return Err(Reason::InvalidOrder);
        }
        if display.is_some_and(|display| self.shows_too_little(display, order.quantity)) {
            return Err(Reason::DisplayTooSmall);
        }
        let phase = self.phase(listing)?;
        if let Some(stop) = stop {
            let stop = Stop {
                order_id: order.order_id.0,
                account_id: order.account_id.0,
                side,
                stop,
                limit,
                collar_cents,
                quantity: order.quantity,
                placed: 0,
                time_in_force,
                self_trade_prevention,
            };
            return Ok((index, Admitted::IsHeld(stop)));
        }
        let incoming = Incoming {
            order_id: order.order_id.0,
            account_id: order.account_id.0,
            side,
            limit: match limit {
                Some(limit) => limit,
                None => collar_ticks(listing, side, collar_cents)?,
            },
            quantity: order.quantity,
            leaves: order.quantity,
            time_in_force: match time_in_force {
                TimeInForce::Day | TimeInForce::Gtc if limit.is_none() => TimeInForce::Ioc,
                time_in_force => time_in_force,
            },
            post_only: order.post_only,
            display: display.unwrap_or(0),
            self_trade_prevention,
            replaces: false,
        };
        if phase == Phase::Collects {
            // What must trade at once cannot wait for the auction: whatever says IOC or FOK. A market
            // order may stay until then when it says DAY or GTC.
            let waits = match limit {
                None if self.logic_version < 2 => time_in_force != TimeInForce::Fok,
                _ => time_in_force.rests(),
            };
            if !waits {
                return Err(stopped_by(listing));
            }
        }
        if limit.is_some() {
            within_band(listing, incoming.limit)?;
        }
        Ok((
            index,
            match phase {
                Phase::Trades => Admitted::Enters(incoming),
                Phase::Collects => Admitted::IsCollected(incoming),
            },
        ))
    }

    /// The checks on new terms of an order in the book.
    pub(super) fn admit_terms(&self, replace: &ReplaceBookOrder) -> Result<(usize, Terms), Reason> {
        let index = self.live(replace.symbol)?;
        let listing = &self.listings[index];
        let resting = listing.book.order(replace.order_id.0);
        let stop = listing.book.stop(replace.order_id.0);
        let owner = resting
            .map(|order| order.account_id)
            .or(stop.map(|stop| stop.account_id));
        match owner {
            None => return Err(Reason::OrderClosed),
            Some(owner) if owner != replace.account_id.0 => return Err(Reason::NotFound),
            Some(_) => {}
        }
        if !(1..=QUANTITY_MAX).contains(&replace.quantity) {
            return Err(Reason::InvalidQuantity);
        }
        // An order without a limit stays without one.
        let is_immediate = resting.is_some_and(|order| !order.time_in_force.rests());
        let has_limit = !is_immediate && stop.is_none_or(|stop| stop.limit.is_some());
        let limit = match (has_limit, replace.price_cents) {
            (true, price_cents) => Some(limit_ticks(&self.config, listing, price_cents)?),
            (false, None) => None,
            (false, Some(_)) => return Err(Reason::InvalidOrder),
        };
        let time_in_force = time_in_force_of(replace.time_in_force).ok_or(Reason::InvalidOrder)?;
        let collects = |matcher: &Self| matcher.phase(listing).map(|phase| phase == Phase::Collects);
        match (resting, limit) {
            (Some(order), Some(price)) if time_in_force.rests() => {
                let collects = collects(self)?;
                // A price that stays may have been left behind by the market.
                if price != order.price {
                    within_band(listing, price)?;
                }
                if self.logic_version >= 2 {
                    match replace.quantity.cmp(&(order.quantity - order.leaves)) {
                        Ordering::Less => return Err(Reason::QuantityBelowFilled),
                        Ordering::Equal => return Ok((index, Terms::Traded)),
                        Ordering::Greater => {}
                    }
                }
                // What it shows stays, so a larger total must not make it too little.
                let grows = replace.quantity > order.quantity;
                if order.display > 0 && grows && self.shows_too_little(order.display, replace.quantity) {
                    return Err(Reason::DisplayTooSmall);
                }
                let terms = Terms::Resting {
                    price,
                    time_in_force,
                    collects,
                };
                Ok((index, terms))
            }
            // An immediate order waits for the auction as it is.
            (Some(_), _) => Err(Reason::InvalidOrder),
            (None, limit) => {
                collects(self)?;
                Ok((index, Terms::Stop { limit, time_in_force }))
            }
        }
    }

    /// Whether an iceberg shows less than the configured share of its quantity: each part that it trades
    /// in is a trade of its own, so one that shows little is a flood of records for who takes it.
    fn shows_too_little(&self, display: i64, quantity: i64) -> bool {
        self.logic_version >= 2 && display < self.config.display_quantity_min(quantity)
    }

    /// What becomes of an order that arrives now.
    fn phase(&self, listing: &Listing) -> Result<Phase, Reason> {
        let standing = listing.standing;
        if standing.session_closed && !self.config.collect_while_closed {
            Err(Reason::MarketClosed)
        } else if standing.halted && !self.config.collect_while_halted {
            Err(Reason::Halted)
        } else if standing.trades() {
            Ok(Phase::Trades)
        } else {
            Ok(Phase::Collects)
        }
    }
}

/// What a book does with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It trades.
    Trades,
    /// It rests until the auction.
    Collects,
}

/// A new order that has passed the checks.
pub(super) enum Admitted {
    /// It trades and rests.
    Enters(Incoming),
    /// It rests until the auction.
    IsCollected(Incoming),
    /// It waits for its trigger.
    IsHeld(Stop),
}

/// New terms that have passed the checks.
pub(super) enum Terms {
    /// Of an order in the book.
    Resting {
        price: Ticks,
        time_in_force: TimeInForce,
        collects: bool,
    },
    /// Of an order in the book: a total that has traded already.
    Traded,
    /// Of a stop.
    Stop {
        limit: Option<Ticks>,
        time_in_force: TimeInForce,
    },
}

/// Whether an order of this type has a limit.
fn has_limit(order_type: OrderType) -> bool {
    matches!(order_type, OrderType::Limit | OrderType::StopLimit)
}

/// Why nothing trades: a closed session is named before a halt.
fn stopped_by(listing: &Listing) -> Reason {
    if listing.standing.session_closed {
        Reason::MarketClosed
    } else {
        Reason::Halted
    }
}

fn limit_ticks(config: &Config, listing: &Listing, price_cents: Option<i64>) -> Result<Ticks, Reason> {
    let price_cents = price_cents.ok_or(Reason::InvalidPrice)?;
    let tick_cents = listing.instrument.tick_size_cents;
    let in_range = (config.price_cents_min..=config.price_cents_max).contains(&price_cents)
        && (1..=PRICE_CENTS_LIMIT).contains(&price_cents);
    if in_range && price_cents % tick_cents == 0 {
        Ok(price_cents / tick_cents)
    } else {
        Err(Reason::InvalidPrice)
    }
}

/// A limit may be as far from the reference as the band says, computed without rounding. Without a
/// band, or as long as there is no reference, it may be anything.
pub(super) fn within_band(listing: &Listing, limit: Ticks) -> Result<(), Reason> {
    let reference = i128::from(listing.reference_cents());
    let band_bps = i128::from(listing.instrument.band_bps);
    let distance = (i128::from(listing.cents(limit)) - reference).abs();
    if reference != 0 && band_bps != 0 && distance * WHOLE_BPS > band_bps * reference {
        Err(Reason::PriceBand)
    } else {
        Ok(())
    }
}

/// The worst price of an order without a limit: the tighter of its own collar and the instrument's
/// band, both rounded inwards to the tick.
pub(super) fn collar_ticks(listing: &Listing, side: Side, own_cents: Option<i64>) -> Result<Ticks, Reason> {
    let reference = i128::from(listing.reference_cents());
    let band_bps = i128::from(listing.instrument.band_bps);
    let tick_cents = i128::from(listing.instrument.tick_size_cents);
    let highest = PRICE_CENTS_LIMIT / listing.instrument.tick_size_cents;
    let own_ticks = own_cents.map(|own| match side {
        Side::Buy => own.div_euclid(listing.instrument.tick_size_cents),
        Side::Sell => -(-own).div_euclid(listing.instrument.tick_size_cents),
    });
    let band_ticks = match side {
        _ if reference == 0 || band_bps == 0 => None,
        Side::Buy => Some((reference * (WHOLE_BPS + band_bps)).div_euclid(WHOLE_BPS * tick_cents)),
        Side::Sell => Some(-(-reference * (WHOLE_BPS - band_bps)).div_euclid(WHOLE_BPS * tick_cents)),
    };
    let band_ticks = match band_ticks {
        Some(ticks) => Some(Ticks::try_from(ticks).map_err(|_| Reason::InvalidPrice)?),
        None => None,
    };
    let both = [own_ticks, band_ticks].into_iter().flatten();
    let worst = match side {
        Side::Buy => both.min().unwrap_or(highest).min(highest),
        Side::Sell => both.max().unwrap_or(1).clamp(1, highest),
    };
    // Below one tick there is no price.
    if worst < 1 {
        Err(Reason::InvalidPrice)
    } else {
        Ok(worst)
    }
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
