//! What an order meets on its way in.

use brokerx_schemas::{BookStatus, Reason};

use super::orders::{NONE, Order};
use super::{Answer, Book, Effects, Event, Incoming, Progress, SelfTradePrevention, TimeInForce};

/// What an order could take at once, as far as it needs.
struct Reach {
    available: i64,
    /// Whether an own order, to which it would have to give way, ended the count.
    gives_way: bool,
}

impl Book {
    /// Why the book refuses an order whole, before anything changes: post-only first, then
    /// fill-or-kill, then, for an order that rests already, that it would have to give way to an
    /// own order.
    pub(super) fn refusal(&self, incoming: &Incoming) -> Option<Reason> {
        if incoming.post_only && self.crosses(incoming) {
            return Some(Reason::PostOnlyWouldCross);
        }
        if incoming.time_in_force == TimeInForce::Fok
            && (self.depth(incoming) < incoming.leaves || self.reach(incoming).available < incoming.leaves)
        {
            return Some(Reason::FokUnfillable);
        }
        if incoming.replaces && self.reach(incoming).gives_way {
            return Some(Reason::SelfTrade);
        }
        None
    }

    fn crosses(&self, incoming: &Incoming) -> bool {
        self.ladder(incoming.side.opposite())
            .best_price()
            .is_some_and(|price| incoming.side.reaches(incoming.limit, price))
    }

    /// All shares within the order's limit, own orders included: cheaper than to walk the orders.
    fn depth(&self, incoming: &Incoming) -> i64 {
        self.ladder(incoming.side.opposite())
            .iter()
            .take_while(|level| incoming.side.reaches(incoming.limit, level.price))
            .map(|level| level.quantity)
            .sum()
    }

    /// Counts what the order could take, in the order in which it would, until it has enough.
    fn reach(&self, incoming: &Incoming) -> Reach {
        let mut reach = Reach {
            available: 0,
            gives_way: false,
        };
        let levels = self.ladder(incoming.side.opposite()).iter();
        for level in levels.take_while(|level| incoming.side.reaches(incoming.limit, level.price)) {
            let mut slot = level.head;
            while slot != NONE {
                let order = self.orders.get(slot);
                if order.account_id != incoming.account_id {
                    reach.available += order.leaves;
                    if reach.available >= incoming.leaves {
                        return reach;
                    }
                } else if incoming.self_trade_prevention != SelfTradePrevention::CancelResting {
                    reach.gives_way = true;
                    return reach;
                }
                slot = order.next;
            }
        }
        reach
    }

    /// Trades with the other side, best price first and first come first served, until nothing is
    /// left, nothing more is in reach, or `events_max` is reached.
    pub(super) fn sweep(&mut self, mut incoming: Incoming, effects: &mut Effects, events_max: usize) -> Progress {
        let other_side = incoming.side.opposite();
        while incoming.leaves > 0 {
            let ladder = self.ladder(other_side);
            let Some(best) = ladder.best() else { break };
            let level = ladder.level(best);
            if !incoming.side.reaches(incoming.limit, level.price) {
                break;
            }
            if effects.events.len() >= events_max {
                return Progress::More(incoming);
            }
            let slot = level.head;
            if self.orders.get(slot).account_id != incoming.account_id {
                self.trade(slot, &mut incoming, effects);
                continue;
            }
            // An own order is reached: what traded before stands.
            match incoming.self_trade_prevention {
                SelfTradePrevention::CancelIncoming if incoming.leaves == incoming.quantity => {
                    return Progress::Done(Answer::rejected(Reason::SelfTrade, incoming.leaves));
                }
                SelfTradePrevention::CancelIncoming => {
                    return Progress::Done(Answer::cancelled(Reason::SelfTrade, incoming.leaves));
                }
                SelfTradePrevention::CancelResting => self.give_way(slot, effects),
                SelfTradePrevention::CancelBoth => {
                    self.give_way(slot, effects);
                    return Progress::Done(Answer::cancelled(Reason::SelfTrade, incoming.leaves));
                }
            }
        }
        Progress::Done(self.finish(incoming, effects))
    }

    fn trade(&mut self, slot: u32, incoming: &mut Incoming, effects: &mut Effects) {
        let maker = *self.orders.get(slot);
        let quantity = maker.leaves.min(incoming.leaves);
        let maker_leaves = maker.leaves - quantity;
        incoming.leaves -= quantity;
        effects.events.push(Event::Trade {
            maker_order_id: maker.order_id,
            maker_account_id: maker.account_id,
            price: maker.price,
            quantity,
            maker_leaves,
            taker_leaves: incoming.leaves,
        });
        if maker_leaves == 0 {
            self.take_out(slot, effects);
        } else {
            self.orders
                .set_terms(slot, maker.quantity, maker_leaves, maker.time_in_force);
            self.ladder_mut(maker.side).add(maker.level, -quantity, 0);
            effects.touch(maker.side, maker.price);
        }
    }

    fn give_way(&mut self, slot: u32, effects: &mut Effects) {
        let order = self.take_out(slot, effects);
        effects.events.push(Event::SelfTradePrevented {
            order_id: order.order_id,
            account_id: order.account_id,
            leaves: order.leaves,
        });
    }

    /// Rests or ends what is left.
    fn finish(&mut self, incoming: Incoming, effects: &mut Effects) -> Answer {
        let leaves = incoming.leaves;
        if leaves == 0 {
            return Answer {
                status: BookStatus::Filled,
                reason: None,
                leaves,
            };
        }
        if !incoming.time_in_force.rests() {
            return Answer::cancelled(Reason::NoLiquidity, leaves);
        }
        self.priority_last += 1;
        self.append(Order {
            order_id: incoming.order_id,
            account_id: incoming.account_id,
            price: incoming.limit,
            quantity: incoming.quantity,
            leaves,
            priority: self.priority_last,
            previous: NONE,
            next: NONE,
            level: NONE,
            side: incoming.side,
            time_in_force: incoming.time_in_force,
            post_only: incoming.post_only,
            self_trade_prevention: incoming.self_trade_prevention,
        });
        effects.touch(incoming.side, incoming.limit);
        Answer {
            status: if incoming.replaces {
                BookStatus::Replaced
            } else {
                BookStatus::Working
            },
            reason: None,
            leaves,
        }
    }
}
