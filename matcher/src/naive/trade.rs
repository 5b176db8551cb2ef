//! Matching: price, then time.

use brokerx_schemas::{SelfTradePrevention, Side};

use super::{NaiveBook, NaiveOrder, NaiveTrade, Said};

impl NaiveBook {
    /// Trades while it can. Returns what is left, and whether the order had to give way to an own one.
    pub(super) fn trade(&mut self, side: Side, mut incoming: NaiveOrder, said: &mut Vec<Said>) -> (NaiveOrder, bool) {
        while incoming.leaves > 0 && self.crosses(side, incoming.price_cents) {
            let other_side = side.opposite();
            let maker = self.orders(other_side)[0].clone();
            if maker.account_id == incoming.account_id {
                if incoming.self_trade_prevention != SelfTradePrevention::CancelIncoming {
                    self.give_way(&maker, said);
                }
                if incoming.self_trade_prevention != SelfTradePrevention::CancelResting {
                    return (incoming, true);
                }
                continue;
            }
            let quantity = incoming.leaves.min(maker.shown);
            incoming.leaves -= quantity;
            incoming.filled += quantity;
            said.push(Said::Trade(NaiveTrade {
                maker_order_id: maker.order_id,
                taker_order_id: incoming.order_id,
                price_cents: maker.price_cents,
                quantity,
                maker_leaves: maker.leaves - quantity,
                taker_leaves: incoming.leaves,
            }));
            self.take_shares(other_side, &maker, quantity);
            self.print(maker.price_cents);
        }
        (incoming, false)
    }

    pub(super) fn crosses(&self, side: Side, limit_cents: i64) -> bool {
        let best = self.orders(side.opposite()).first();
        best.is_some_and(|best| match side {
            Side::Buy => best.price_cents <= limit_cents,
            _ => best.price_cents >= limit_cents,
        })
    }

    /// A resting order has traded. An iceberg that shows nothing any more shows again at the end of its
    /// queue.
    pub(super) fn take_shares(&mut self, side: Side, order: &NaiveOrder, quantity: i64) {
        let orders = self.side_mut(side);
        let Some(place) = orders.iter().position(|other| other.order_id == order.order_id) else {
            return;
        };
        let resting = &mut orders[place];
        resting.leaves -= quantity;
        resting.shown -= quantity;
        resting.filled += quantity;
        if resting.shown == 0 {
            let resting = orders.remove(place);
            if resting.leaves > 0 {
                self.queue(side, resting);
            }
        }
    }

    pub(super) fn give_way(&mut self, order: &NaiveOrder, said: &mut Vec<Said>) {
        let reason = brokerx_schemas::Reason::SelfTrade;
        said.push(Said::Ended(order.order_id, reason, order.leaves));
        self.remove(order.order_id);
    }

    /// Takes note of the price of a trade.
    pub(super) fn print(&mut self, price_cents: i64) {
        self.reference_cents = price_cents;
        self.last_cents = Some(price_cents);
        self.reach(price_cents);
    }
}
