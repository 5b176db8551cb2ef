//! Matching: what becomes of an order on its way into the book.

use brokerx_schemas::{BookStatus, Reason};

use super::orders::{NONE, Order};
use super::quantity::shares;
use super::queues::Book;
use super::types::{Answer, Effects, Event, Incoming, Party, Progress, SelfTradePrevention, TimeInForce};

/// How much an order could take at once, counted no further than it needs.
struct Reach {
    available: i64,
    /// Whether the count ended at an order of the same account, to which it would have to give way.
    gives_way: bool,
}

impl Book {
    /// Why the book refuses an order whole, before anything changes: post-only first, then
    /// fill-or-kill, then, for an order that rests already, that it would have to give way to an
    /// order of the same account.
    pub(super) fn refusal(&self, incoming: &Incoming) -> Option<Reason> {
        if let Some(reason) = self.post_only_refusal(incoming) {
            return Some(reason);
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

    pub(super) fn post_only_refusal(&self, incoming: &Incoming) -> Option<Reason> {
        (incoming.post_only && self.crosses(incoming)).then_some(Reason::PostOnlyWouldCross)
    }

    fn crosses(&self, incoming: &Incoming) -> bool {
        self.ladder(incoming.side.opposite())
            .best_price()
            .is_some_and(|price| incoming.side.reaches(incoming.limit, price))
    }

    /// All shares within the order's limit, hidden ones and those of the same account included:
    /// cheaper than to walk the orders.
    fn depth(&self, incoming: &Incoming) -> i64 {
        self.ladder(incoming.side.opposite())
            .iter()
            .take_while(|level| incoming.side.reaches(incoming.limit, level.price))
            .map(|level| level.total())
            .sum()
    }

    /// Counts what the order could take, in the order in which it would, until it has enough. What
    /// an iceberg hides trades only after the whole queue of its level, so an order of the same
    /// account in that queue is met before it.
    fn reach(&self, incoming: &Incoming) -> Reach {
        let mut reach = Reach {
            available: 0,
            gives_way: false,
        };
        let own_gives_way = incoming.self_trade_prevention == SelfTradePrevention::CancelResting;
        let levels = self.ladder(incoming.side.opposite()).iter();
        for level in levels.take_while(|level| incoming.side.reaches(incoming.limit, level.price)) {
            let mut slot = level.head;
            let mut hidden = 0;
            while slot != NONE {
                let order = self.orders.get(slot);
                if order.account_id != incoming.account_id {
                    reach.available += i64::from(order.visible);
                    hidden += i64::from(order.hidden());
                    if reach.available >= incoming.leaves {
                        return reach;
                    }
                } else if !own_gives_way {
                    reach.gives_way = true;
                    return reach;
                }
                slot = order.next;
            }
            reach.available += hidden;
            if reach.available >= incoming.leaves {
                return reach;
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
            // An order of the same account is reached: what traded before stands.
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
        let maker = self.orders.get(slot);
        let quantity = i64::from(maker.visible).min(incoming.leaves);
        incoming.leaves -= quantity;
        effects.events.push(Event::Trade {
            price: maker.price,
            quantity,
            maker: Party {
                order_id: maker.order_id,
                account_id: maker.account_id,
                leaves: i64::from(maker.leaves) - quantity,
            },
            taker: Party {
                order_id: incoming.order_id,
                account_id: incoming.account_id,
                leaves: incoming.leaves,
            },
            taker_side: incoming.side,
        });
        self.execute(slot, shares(quantity), effects);
    }

    /// Takes shares that have traded from the visible ones of a resting order. An iceberg whose
    /// visible shares are used up shows new ones at the end of the queue.
    pub(super) fn execute(&mut self, slot: u32, quantity: u32, effects: &mut Effects) {
        let order = *self.orders.get(slot);
        if quantity == order.leaves {
            self.take_out(slot, effects);
            return;
        }
        effects.touch(order.side, order.price);
        let leaves = order.leaves - quantity;
        if quantity < order.visible {
            self.orders.edit(slot, |order| {
                order.leaves = leaves;
                order.visible -= quantity;
            });
            self.ladder_mut(order.side).add(order.level, -i64::from(quantity), 0, 0);
            return;
        }
        let visible = Order::shown_of(leaves, order.display);
        self.priority_last += 1;
        let priority = self.priority_last;
        self.orders.edit(slot, |order| {
            order.leaves = leaves;
            order.visible = visible;
            order.priority = priority;
        });
        let change = i64::from(visible) - i64::from(order.visible);
        self.ladder_mut(order.side)
            .add(order.level, change, -i64::from(visible), 0);
        self.move_to_end(slot);
    }

    /// Cancels a resting order that would trade with its own account.
    pub(super) fn give_way(&mut self, slot: u32, effects: &mut Effects) {
        let order = self.take_out(slot, effects);
        effects.events.push(Event::SelfTradePrevented {
            order_id: order.order_id,
            account_id: order.account_id,
            leaves: i64::from(order.leaves),
        });
    }

    /// Rests or ends what is left.
    fn finish(&mut self, incoming: Incoming, effects: &mut Effects) -> Answer {
        if incoming.leaves == 0 {
            return Answer::filled();
        }
        if !incoming.time_in_force.rests() {
            return Answer::cancelled(Reason::NoLiquidity, incoming.leaves);
        }
        self.rest(incoming, effects)
    }

    /// Queues what is left of an order.
    pub(super) fn rest(&mut self, incoming: Incoming, effects: &mut Effects) -> Answer {
        self.priority_last += 1;
        let (leaves, display) = (shares(incoming.leaves), shares(incoming.display));
        self.append(Order {
            order_id: incoming.order_id,
            account_id: incoming.account_id,
            price: incoming.limit,
            quantity: shares(incoming.quantity),
            leaves,
            visible: Order::shown_of(leaves, display),
            display,
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
            leaves: incoming.leaves,
        }
    }
}
