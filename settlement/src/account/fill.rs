//! A trade of one of the account's orders: checked first, then booked as a whole.

use brokerx_schemas::{
    AccountEvent, AccountEventKind, Execution, Fill, LedgerAccount, Liquidity, OrderStatus, Posting, Side, Symbol,
};

use super::cancel::{recall, remove_from_book};
use super::desk::{Desk, event};
use super::done::{awaits_answer, record_filled};
use super::fees::Traded;
use super::order::Order;
use super::position::{Cash, Position};
use super::reservation::adjust;
use super::state::{Account, BrokenInvariant};

pub(super) fn fill(account: &mut Account, desk: &mut Desk<'_>, fill: Fill) {
    let Some(order) = account.orders.get(&fill.order_id) else {
        desk.freeze(account, BrokenInvariant::UnknownOrder);
        if fill.leaves_quantity > 0 && desk.rules.since(4) {
            remove_from_book(account, desk, fill.order_id, fill.symbol);
        }
        return;
    };
    let Some(booking) = book(&order, &account.core.cash, &account.position(fill.symbol), &fill) else {
        let has_ended = !order.is_open();
        desk.freeze(account, BrokenInvariant::ImpossibleFill);
        if has_ended && fill.leaves_quantity > 0 && desk.rules.since(3) {
            recall(account, desk, fill.order_id);
        }
        return;
    };
    let Some(mut order) = account.orders.edit(fill.order_id) else {
        return;
    };
    desk.touched = Some(fill.symbol);
    if booking.change_stands {
        order.adopt_change();
    }
    account.core.cash = booking.cash;
    *account.positions.edit_or_default(fill.symbol) = booking.position;
    order.traded = booking.traded;
    order.status = if fill.leaves_quantity == 0 {
        OrderStatus::Filled
    } else {
        OrderStatus::PartiallyFilled
    };
    order.executions.push(booking.execution);
    order.touch(desk.now_us());
    adjust(&mut account.core.cash, &mut account.positions, &mut order);
    let view = order.view(account.id);
    drop(order);
    let executed = AccountEvent {
        order: Some(view),
        execution: Some(booking.execution),
        positions: vec![account.position(fill.symbol).view(fill.symbol)],
        postings: booking.posted.postings(&desk.rules.config.currency, fill.symbol),
        ..event(AccountEventKind::OrderExecuted, None)
    };
    desk.record(account, executed);
    if fill.leaves_quantity == 0 && desk.rules.since(2) && !awaits_answer(account, desk, fill.order_id) {
        record_filled(account, desk, fill.order_id, None);
    }
    if account.position(fill.symbol).is_empty() {
        account.positions.remove(&fill.symbol);
    }
    desk.close_if_over(account, fill.order_id);
}

/// Everything that a fill changes, computed before anything is changed.
struct Booking {
    traded: Traded,
    execution: Execution,
    cash: Cash,
    position: Position,
    posted: Posted,
    /// The shares that are left show that the book has applied the replace in flight.
    change_stands: bool,
}

/// None when the order's terms do not allow the fill.
fn book(order: &Order, cash: &Cash, position: &Position, fill: &Fill) -> Option<Booking> {
    let possible = order.is_open()
        && fill.symbol == order.symbol
        && fill.side == order.side
        && fill.quantity > 0
        && fill.price_cents > 0
        && fill.liquidity != Liquidity::Unknown
        && is_within_limit(order, fill);
    if !possible {
        return None;
    }
    let notional = fill.price_cents.checked_mul(fill.quantity)?;
    let mut traded = order.traded.with_fill(fill.quantity, notional, fill.liquidity)?;
    let left = |quantity: i64| quantity - traded.quantity;
    let change_left = order.asked().map(|asked| left(asked.quantity));
    let change_stands = left(order.terms.quantity) != fill.leaves_quantity;
    if fill.leaves_quantity < 0 || change_stands && change_left != Some(fill.leaves_quantity) {
        return None;
    }
    traded.fees_cents = order.fees.cumulative_cents(order.side, &traded)?;
    let fee = traded.fees_cents - order.traded.fees_cents;
    let (cents, shares, position) = match order.side {
        Side::Buy => (
            -notional,
            fill.quantity,
            position.with_arrival(fill.quantity, notional)?,
        ),
        Side::Sell | Side::Unknown => (notional, -fill.quantity, position.with_departure(fill.quantity)?),
    };
    let cash = Cash {
        balance_cents: cash.balance_cents.checked_add(cents)?.checked_sub(fee)?,
        ..*cash
    };
    Some(Booking {
        traded,
        execution: Execution {
            trade_id: fill.trade_id,
            price_cents: fill.price_cents,
            quantity: fill.quantity,
            fee_cents: fee,
            liquidity: fill.liquidity,
            executed_us: fill.executed_us,
        },
        cash,
        position,
        posted: Posted { cents, shares, fee },
        change_stands,
    })
}

/// Whether the price is one that the order, or the replace of it in flight, asked for.
fn is_within_limit(order: &Order, fill: &Fill) -> bool {
    let allows = |price: i64| match order.side {
        Side::Buy => fill.price_cents <= price,
        Side::Sell | Side::Unknown => fill.price_cents >= price,
    };
    allows(order.worst_price_cents(&order.terms))
        || order
            .asked()
            .is_some_and(|asked| allows(order.worst_price_cents(asked)))
}

/// What the client gets of each asset, and the fee that is taken from it.
struct Posted {
    cents: i64,
    shares: i64,
    fee: i64,
}

impl Posted {
    /// The double entry: client, fees and the clearing side of the trade.
    fn postings(&self, currency: &str, symbol: Symbol) -> Vec<Posting> {
        let lines = [
            (LedgerAccount::Client, currency, self.cents - self.fee),
            (LedgerAccount::Fees, currency, self.fee),
            (LedgerAccount::Clearing, currency, -self.cents),
            (LedgerAccount::Client, symbol.as_str(), self.shares),
            (LedgerAccount::Clearing, symbol.as_str(), -self.shares),
        ];
        let lines = lines.into_iter().filter(|(.., amount)| *amount != 0);
        lines
            .map(|(ledger_account, asset, amount)| Posting {
                ledger_account,
                asset: asset.to_owned(),
                amount,
            })
            .collect()
    }
}
