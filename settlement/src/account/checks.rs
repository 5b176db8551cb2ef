//! What an order must satisfy, in the order in which it meets the checks.

use brokerx_schemas::{Config, OrderType, PlaceOrder, Reason, Side, TimeInForce};

use super::order::{Order, Terms};
use super::reservation::Reservation;
use super::rules::Rules;
use super::state::Account;

/// The worst price of an order without a limit: what the ingress stamped on a market order; for a
/// stop its stop price and `collar_bps` more (buy) or less (sell), rounded inwards to the cent.
pub(super) fn collar_price_cents(command: &PlaceOrder, collar_bps: i32) -> Option<i64> {
    match command.order_type {
        OrderType::Market => command.collar_price_cents,
        OrderType::Stop => {
            let stop = i128::from(command.stop_price_cents?.max(0));
            let collar = match command.side {
                Side::Buy => stop * (10_000 + i128::from(collar_bps)) / 10_000,
                Side::Sell | Side::Unknown => (stop * (10_000 - i128::from(collar_bps)) + 9_999) / 10_000,
            };
            i64::try_from(collar).ok()
        }
        OrderType::Limit | OrderType::StopLimit | OrderType::Unknown => None,
    }
}

/// Whether a new order may be accepted.
///
/// # Errors
/// The first reason why not.
pub(super) fn new_order(account: &Account, rules: &Rules, order: &Order) -> Result<(), Reason> {
    terms(order, &order.terms, &rules.config)?;
    fields(order)?;
    shows_enough(rules, order, order.terms.quantity)?;
    may_trade(account)?;
    if i64::try_from(account.open_orders.len()).unwrap_or(i64::MAX) >= i64::from(account.limits(rules).open_orders_max)
    {
        return Err(Reason::OrderLimit);
    }
    size(account, rules, order, &order.terms)?;
    covered(account, order, order.required(None))
}

/// Whether new terms may be asked of the book for an open order.
///
/// # Errors
/// The first reason why not.
pub(super) fn replacement(account: &Account, rules: &Rules, order: &Order, new: &Terms) -> Result<(), Reason> {
    may_trade(account)?;
    terms(order, new, &rules.config)?;
    // An order in the book can only go on resting.
    if new.time_in_force != order.terms.time_in_force
        && !matches!(new.time_in_force, TimeInForce::Day | TimeInForce::Gtc)
    {
        return Err(Reason::InvalidOrder);
    }
    // What it shows stays, so a larger total must not make it too little.
    if new.quantity > order.terms.quantity {
        shows_enough(rules, order, new.quantity)?;
    }
    size(account, rules, order, new)?;
    covered(account, order, order.required(Some(new)))
}

fn may_trade(account: &Account) -> Result<(), Reason> {
    if !account.may_trade() {
        return Err(Reason::AccountNotActive);
    }
    match account.core.frozen {
        Some(_) => Err(Reason::Frozen),
        None => Ok(()),
    }
}

/// Quantity and prices, each by itself.
fn terms(order: &Order, terms: &Terms, config: &Config) -> Result<(), Reason> {
    if terms.quantity < 1 {
        return Err(Reason::InvalidQuantity);
    }
    let range = config.price_cents_min..=config.price_cents_max;
    let in_range = |price: Option<i64>| price.is_some_and(|price| range.contains(&price));
    let limit_is_good = match order.order_type {
        OrderType::Limit | OrderType::StopLimit => in_range(terms.price_cents),
        OrderType::Market | OrderType::Stop | OrderType::Unknown => {
            order.collar_price_cents.is_some_and(|price| price > 0)
        }
    };
    let stop_is_good = match order.order_type {
        OrderType::Stop | OrderType::StopLimit => in_range(order.stop_price_cents),
        OrderType::Limit | OrderType::Market | OrderType::Unknown => true,
    };
    if limit_is_good && stop_is_good {
        Ok(())
    } else {
        Err(Reason::InvalidPrice)
    }
}

/// Combinations of fields. What only a book can refuse is left to it.
fn fields(order: &Order) -> Result<(), Reason> {
    let has_limit = matches!(order.order_type, OrderType::Limit | OrderType::StopLimit);
    let has_stop = matches!(order.order_type, OrderType::Stop | OrderType::StopLimit);
    let rests = order.order_type == OrderType::Limit
        && matches!(order.terms.time_in_force, TimeInForce::Day | TimeInForce::Gtc);
    let shown_is_good = order
        .display_quantity
        .is_none_or(|shown| rests && (1..=order.terms.quantity).contains(&shown));
    let good = order.terms.price_cents.is_some() == has_limit
        && order.stop_price_cents.is_some() == has_stop
        && (rests || !order.post_only)
        && shown_is_good;
    if good { Ok(()) } else { Err(Reason::InvalidOrder) }
}

/// Whether an iceberg of this many shares shows the configured share of them. The book says the same.
fn shows_enough(rules: &Rules, order: &Order, quantity: i64) -> Result<(), Reason> {
    match order.display_quantity {
        Some(shown) if rules.logic_version >= 2 && shown < rules.config.display_quantity_min(quantity) => {
            Err(Reason::DisplayTooSmall)
        }
        Some(_) | None => Ok(()),
    }
}

/// The account's limits on one order.
fn size(account: &Account, rules: &Rules, order: &Order, terms: &Terms) -> Result<(), Reason> {
    let limits = account.limits(rules);
    let notional = i128::from(terms.quantity) * i128::from(order.worst_price_cents(terms));
    if terms.quantity > limits.order_quantity_max || notional > i128::from(limits.order_notional_cents_max) {
        return Err(Reason::OrderLimit);
    }
    Ok(())
}

/// Whether what is required beyond what the order has reserved is available.
fn covered(account: &Account, order: &Order, required: Option<Reservation>) -> Result<(), Reason> {
    // More than fits in 64 bits is more than anyone has.
    let Some(required) = required else {
        return Err(Reason::OrderLimit);
    };
    let more_cents = required.cents - order.reserved_cents;
    if more_cents > account.core.cash.available_cents().max(0) {
        return Err(Reason::InsufficientFunds);
    }
    let more_shares = required.quantity - order.reserved_quantity;
    if more_shares > account.position(order.symbol).available().max(0) {
        return Err(Reason::InsufficientShares);
    }
    Ok(())
}
