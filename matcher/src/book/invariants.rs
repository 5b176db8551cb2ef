//! What must hold after every command, in release builds too.

use std::fmt;

use super::orders::NONE;
use super::queues::Book;
use super::types::{Side, Ticks};

/// A book that contradicts itself. It must not trade on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The best bid is not below the best ask.
    Crossed {
        /// The best bid.
        bid: Ticks,
        /// The best ask.
        ask: Ticks,
    },
    /// A level without orders or shares is still in the book.
    EmptyLevel {
        /// Its side.
        side: Side,
        /// Its price.
        price: Ticks,
    },
    /// A level is not the sum of its orders, or its queue is torn.
    Level {
        /// Its side.
        side: Side,
        /// Its price.
        price: Ticks,
    },
    /// The levels of a side are not the sum of its orders.
    Side {
        /// The side.
        side: Side,
        /// Shares of its orders.
        orders: i64,
        /// Shares of its levels.
        levels: i64,
    },
    /// The two ways to find a stop disagree, or a stop is held that a trade has reached.
    Stops,
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crossed { bid, ask } => write!(formatter, "crossed: bid {bid}, ask {ask} (ticks)"),
            Self::EmptyLevel { side, price } => write!(formatter, "empty level: {side:?} {price} (ticks)"),
            Self::Level { side, price } => write!(formatter, "level is not its orders: {side:?} {price} (ticks)"),
            Self::Side { side, orders, levels } => {
                write!(formatter, "{side:?} orders hold {orders} shares, levels {levels}")
            }
            Self::Stops => write!(formatter, "stops are torn, or one that was reached is held"),
        }
    }
}

/// Whether a book trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trading {
    /// It trades; orders may not cross.
    Yes {
        /// The price of the last trade, if there was one.
        last: Option<Ticks>,
    },
    /// It is halted, closed or about to be uncrossed.
    No,
}

/// How many orders of a touched level are walked; of a longer queue only the head is.
const WALK_MAX: u32 = 8;

impl Book {
    /// Checks the book around the levels that a command touched. The cost depends on those alone:
    /// queues up to 8 orders are added up, longer ones are covered by the totals of their side. A
    /// book that trades must not be crossed, and must not hold a stop that its last price has
    /// reached. A book that collects orders may be crossed.
    ///
    /// # Errors
    /// When the book contradicts itself.
    pub fn check(&self, touched: &[(Side, Ticks)], trading: Trading) -> Result<(), Broken> {
        self.check_top(trading)?;
        self.check_stops(trading)?;
        self.check_totals()?;
        for (side, price) in touched {
            if let Some(level) = self.ladder(*side).find(*price) {
                self.check_level(*side, level, WALK_MAX)?;
            }
        }
        Ok(())
    }

    /// Checks every order of every level: for tests and diagnosis.
    ///
    /// # Errors
    /// When the book contradicts itself.
    pub fn check_all(&self, trading: Trading) -> Result<(), Broken> {
        self.check_top(trading)?;
        self.check_stops(trading)?;
        self.check_totals()?;
        for side in [Side::Buy, Side::Sell] {
            for level in self.ladder(side).iter() {
                let found = self.ladder(side).find(level.price).ok_or(Broken::Level {
                    side,
                    price: level.price,
                })?;
                self.check_level(side, found, u32::MAX)?;
            }
        }
        Ok(())
    }

    fn check_stops(&self, trading: Trading) -> Result<(), Broken> {
        let reached = match trading {
            Trading::Yes { last: Some(price) } => self.stops.reached(price).is_some(),
            _ => false,
        };
        if reached || !self.stops.agrees() {
            return Err(Broken::Stops);
        }
        Ok(())
    }

    fn check_top(&self, trading: Trading) -> Result<(), Broken> {
        if trading == Trading::No {
            return Ok(());
        }
        match (self.bids.best_price(), self.asks.best_price()) {
            (Some(bid), Some(ask)) if bid >= ask => Err(Broken::Crossed { bid, ask }),
            _ => Ok(()),
        }
    }

    fn check_totals(&self) -> Result<(), Broken> {
        for side in [Side::Buy, Side::Sell] {
            let (orders, levels) = (self.orders.leaves_total(side), self.ladder(side).quantity_total());
            if orders != levels {
                return Err(Broken::Side { side, orders, levels });
            }
        }
        let (orders, levels) = (
            self.orders.count() as i64,
            self.bids.order_count() + self.asks.order_count(),
        );
        if orders != levels {
            return Err(Broken::Side {
                side: Side::Buy,
                orders,
                levels,
            });
        }
        Ok(())
    }

    fn check_level(&self, side: Side, index: u32, walk_max: u32) -> Result<(), Broken> {
        let level = self.ladder(side).level(index);
        let price = level.price;
        if level.count == 0 || level.visible <= 0 || level.hidden < 0 {
            return Err(Broken::EmptyLevel { side, price });
        }
        let (mut slot, mut previous, mut priority) = (level.head, NONE, 0);
        let (mut count, mut visible, mut hidden) = (0, 0, 0);
        while slot != NONE && count < walk_max {
            let order = self.orders.get(slot);
            let fits = order.level == index
                && order.side == side
                && order.price == price
                && order.previous == previous
                && order.priority > priority
                && order.visible > 0
                && order.visible <= order.leaves
                && order.leaves <= order.quantity
                && (order.display == 0 && order.visible == order.leaves
                    || order.display > 0 && order.visible <= order.display);
            if !fits {
                return Err(Broken::Level { side, price });
            }
            count += 1;
            visible += i64::from(order.visible);
            hidden += i64::from(order.hidden());
            priority = order.priority;
            previous = slot;
            slot = order.next;
        }
        let whole = slot == NONE;
        let adds_up = if whole {
            count == level.count && visible == level.visible && hidden == level.hidden && level.tail == previous
        } else {
            count < level.count && visible < level.visible && hidden <= level.hidden
        };
        if adds_up {
            Ok(())
        } else {
            Err(Broken::Level { side, price })
        }
    }

    /// Makes a level lie about its shares, to show what follows.
    #[doc(hidden)]
    pub fn corrupt(&mut self, side: Side) {
        if let Some(best) = self.ladder(side).best() {
            self.ladder_mut(side).level_mut(best).visible += 1;
        }
    }
}
