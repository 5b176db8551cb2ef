//! The call auction: a book that was collected while nothing traded is uncrossed at one price.

use super::orders::Order;
use super::queues::Book;
use super::types::{Effects, Event, Party, SelfTradePrevention, Side, Ticks};

/// How good a price is: more shares, then a smaller imbalance, then nearer to the reference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Merit {
    quantity: i64,
    /// Negative, so that more is better.
    imbalance: i64,
    distance: i64,
}

impl Book {
    /// The price at which the crossed book trades most. Among equal prices it is the one that
    /// leaves the smallest imbalance, then the one nearest to `reference`, then the lower. None
    /// when the book is not crossed. The cost grows with the levels that cross.
    pub fn auction_price(&self, reference: Ticks) -> Option<Ticks> {
        let (low, high) = (self.asks.best_price()?, self.bids.best_price()?);
        if low > high {
            return None;
        }
        let mut asks = self.asks.iter().take_while(|level| level.price <= high).peekable();
        let mut bids = self.bids.ascending_from(low).peekable();
        let mut supply = 0;
        let mut demand: i64 = self.bids.ascending_from(low).map(|level| level.total()).sum();
        let mut best: Option<(Merit, Ticks)> = None;
        let mut at = low;
        loop {
            while let Some(level) = asks.next_if(|level| level.price <= at) {
                supply += level.total();
            }
            while let Some(level) = bids.next_if(|level| level.price < at) {
                demand -= level.total();
            }
            // Up to `end` nothing changes: the best price in between is the nearest to the reference.
            let ask_end = asks.peek().map_or(high, |level| level.price - 1);
            let bid_end = bids.peek().map_or(high, |level| level.price);
            let end = ask_end.min(bid_end);
            let price = reference.clamp(at, end);
            let merit = Merit {
                quantity: demand.min(supply),
                imbalance: -(demand - supply).abs(),
                distance: price.saturating_sub(reference).saturating_abs().saturating_neg(),
            };
            if best.is_none_or(|(before, _)| merit > before) {
                best = Some((merit, price));
            }
            if end >= high {
                return best.map(|(_, price)| price);
            }
            at = end + 1;
        }
    }

    /// Trades what crosses at `price`, best prices first and first come first served on both sides.
    /// Of two orders of one account the later one is treated as incoming. Stops after `events_max`
    /// events. Returns whether it is done.
    ///
    /// Orders that give way may leave the book crossed: then another auction must follow.
    pub fn uncross(&mut self, price: Ticks, effects: &mut Effects, events_max: usize) -> bool {
        loop {
            let (Some(bid_level), Some(ask_level)) = (self.bids.best(), self.asks.best()) else {
                return true;
            };
            let (bid_level, ask_level) = (self.bids.level(bid_level), self.asks.level(ask_level));
            if bid_level.price < price || ask_level.price > price {
                return true;
            }
            if effects.events.len() >= events_max {
                return false;
            }
            let (bid_slot, ask_slot) = (bid_level.head, ask_level.head);
            let (bid, ask) = (*self.orders.get(bid_slot), *self.orders.get(ask_slot));
            let bid_is_maker = is_maker(&bid, &ask);
            let (maker_slot, maker, taker_slot, taker) = if bid_is_maker {
                (bid_slot, bid, ask_slot, ask)
            } else {
                (ask_slot, ask, bid_slot, bid)
            };
            if maker.account_id == taker.account_id {
                if taker.self_trade_prevention != SelfTradePrevention::CancelIncoming {
                    self.give_way(maker_slot, effects);
                }
                if taker.self_trade_prevention != SelfTradePrevention::CancelResting {
                    self.give_way(taker_slot, effects);
                }
                continue;
            }
            let quantity = maker.visible.min(taker.visible);
            let party = |order: &Order| Party {
                order_id: order.order_id,
                account_id: order.account_id,
                leaves: i64::from(order.leaves - quantity),
            };
            effects.events.push(Event::Trade {
                price,
                quantity: i64::from(quantity),
                maker: party(&maker),
                taker: party(&taker),
                taker_side: if bid_is_maker { Side::Sell } else { Side::Buy },
            });
            self.execute(maker_slot, quantity, effects);
            self.execute(taker_slot, quantity, effects);
        }
    }
}

/// Whether a bid counts as having been there before an ask: a post-only order always does, since it
/// did not cross when it came.
fn is_maker(bid: &Order, ask: &Order) -> bool {
    if bid.post_only != ask.post_only {
        bid.post_only
    } else {
        bid.priority < ask.priority
    }
}
