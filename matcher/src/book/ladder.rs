//! One side of a book: its price levels, sorted.

use super::orders::NONE;
use super::types::{LevelView, Side, Ticks};

/// The orders at one price.
#[derive(Clone, Debug)]
pub(super) struct Level {
    pub price: Ticks,
    /// Shares that its orders show.
    pub visible: i64,
    /// Shares that its icebergs hide.
    pub hidden: i64,
    /// First and last order of the queue. In a free level `head` chains the free levels.
    pub head: u32,
    pub tail: u32,
    /// Orders.
    pub count: u32,
}

impl Level {
    /// All shares of all its orders.
    pub fn total(&self) -> i64 {
        self.visible + self.hidden
    }

    /// The level as others see it.
    pub fn view(&self) -> LevelView {
        LevelView {
            price: self.price,
            quantity: self.visible,
            order_count: self.count,
        }
    }
}

/// Where a level stands: `rank` grows towards the better price.
#[derive(Clone, Copy, Debug)]
struct Rung {
    rank: i64,
    level: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Ladder {
    side: Side,
    /// Sorted by rank: the best is the last.
    rungs: Vec<Rung>,
    levels: Vec<Level>,
    first_free: u32,
    /// Shares and orders of all levels.
    quantity_total: i64,
    order_count: i64,
}

impl Ladder {
    pub fn new(side: Side) -> Self {
        Self {
            side,
            rungs: Vec::new(),
            levels: Vec::new(),
            first_free: NONE,
            quantity_total: 0,
            order_count: 0,
        }
    }

    fn rank(&self, price: Ticks) -> i64 {
        match self.side {
            Side::Buy => price,
            Side::Sell => -price,
        }
    }

    pub fn len(&self) -> usize {
        self.rungs.len()
    }

    pub fn quantity_total(&self) -> i64 {
        self.quantity_total
    }

    pub fn order_count(&self) -> i64 {
        self.order_count
    }

    /// The level with the best price.
    pub fn best(&self) -> Option<u32> {
        self.rungs.last().map(|rung| rung.level)
    }

    pub fn best_price(&self) -> Option<Ticks> {
        self.best().map(|level| self.level(level).price)
    }

    pub fn level(&self, level: u32) -> &Level {
        &self.levels[level as usize]
    }

    pub fn level_mut(&mut self, level: u32) -> &mut Level {
        &mut self.levels[level as usize]
    }

    /// Levels, best price first.
    pub fn iter(&self) -> impl Iterator<Item = &Level> {
        self.rungs.iter().rev().map(|rung| self.level(rung.level))
    }

    /// Levels that are at least as high as `price` on the side of the bids, lowest first.
    pub fn ascending_from(&self, price: Ticks) -> impl Iterator<Item = &Level> {
        let (Ok(start) | Err(start)) = self.position(self.rank(price));
        self.rungs[start..].iter().map(|rung| self.level(rung.level))
    }

    /// Where a rank is, or where it would be. Gallops from the best end, where most things happen.
    fn position(&self, rank: i64) -> Result<usize, usize> {
        let length = self.rungs.len();
        let mut reach = 1;
        while reach < length && self.rungs[length - reach].rank > rank {
            reach *= 2;
        }
        let start = length.saturating_sub(reach);
        let found = self.rungs[start..].binary_search_by_key(&rank, |rung| rung.rank);
        found.map(|at| at + start).map_err(|at| at + start)
    }

    pub fn find(&self, price: Ticks) -> Option<u32> {
        self.position(self.rank(price)).ok().map(|at| self.rungs[at].level)
    }

    /// The level at a price. When there is none it is opened, and its first order must follow at
    /// once.
    pub fn find_or_open(&mut self, price: Ticks) -> u32 {
        let rank = self.rank(price);
        match self.position(rank) {
            Ok(at) => self.rungs[at].level,
            Err(at) => {
                let level = self.open(price);
                self.rungs.insert(at, Rung { rank, level });
                level
            }
        }
    }

    fn open(&mut self, price: Ticks) -> u32 {
        let level = Level {
            price,
            visible: 0,
            hidden: 0,
            head: NONE,
            tail: NONE,
            count: 0,
        };
        if self.first_free == NONE {
            self.levels.push(level);
            u32::try_from(self.levels.len() - 1).expect("there are fewer levels than orders")
        } else {
            let index = self.first_free;
            let place = &mut self.levels[index as usize];
            self.first_free = place.head;
            *place = level;
            index
        }
    }

    /// Adds shares and orders to a level, or takes them away; a level without orders is closed.
    pub fn add(&mut self, level: u32, visible: i64, hidden: i64, orders: i32) {
        self.quantity_total += visible + hidden;
        self.order_count += i64::from(orders);
        let entry = &mut self.levels[level as usize];
        entry.visible += visible;
        entry.hidden += hidden;
        entry.count = entry.count.saturating_add_signed(orders);
        if entry.count == 0 {
            let price = entry.price;
            entry.head = self.first_free;
            self.first_free = level;
            if let Ok(at) = self.position(self.rank(price)) {
                self.rungs.remove(at);
            }
        }
    }
}
