//! The resting orders of a book: a slab with an index, a content hash and running totals.

use xxhash_rust::xxh3::xxh3_64;

use super::index::OrderIndex;
use super::types::{SelfTradePrevention, Side, Ticks, TimeInForce};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;
/// The order id of a free slot.
const VACANT: i64 = -1;

/// A resting order: one cache line. Shares are at most [`QUANTITY_MAX`](super::QUANTITY_MAX), which
/// 32 bits hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub order_id: i64,
    pub account_id: i64,
    pub price: Ticks,
    /// Place in time: lower is earlier.
    pub priority: u64,
    /// Total shares, what traded included.
    pub quantity: u32,
    /// Shares left, hidden ones included.
    pub leaves: u32,
    /// Shares left that the level shows, and that trade before the order goes to the end of the queue.
    pub visible: u32,
    /// Shares that an iceberg shows at a time; 0 shows all.
    pub display: u32,
    /// Neighbours in the queue of the level. In a free slot `next` chains the free slots.
    pub previous: u32,
    pub next: u32,
    pub level: u32,
    pub side: Side,
    pub time_in_force: TimeInForce,
    pub post_only: bool,
    pub self_trade_prevention: SelfTradePrevention,
}

const _: () = assert!(size_of::<Order>() == 64, "an order fits one cache line");

impl Order {
    /// Shares left that nobody sees.
    pub fn hidden(&self) -> u32 {
        self.leaves - self.visible
    }

    /// Shares that an order with this much left shows when it comes to the end of a queue.
    pub fn shown_of(leaves: u32, display: u32) -> u32 {
        if display == 0 { leaves } else { leaves.min(display) }
    }

    /// A hash over what the order is, not over where it is stored.
    fn content_hash(&self) -> u64 {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let words = [
            self.order_id as u64,
            self.account_id as u64,
            self.price as u64,
            self.priority,
            pair(self.quantity, self.leaves),
            pair(self.visible, self.display),
            u64::from(self.side as u8)
                | u64::from(self.time_in_force as u8) << 8
                | u64::from(self.post_only) << 16
                | u64::from(self.self_trade_prevention as u8) << 24,
        ];
        let mut bytes = [0; 56];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        xxh3_64(&bytes)
    }
}

/// All resting orders of a book.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    slots: Vec<Order>,
    first_free: u32,
    index: OrderIndex,
    count: usize,
    /// Orders that rest only until the next auction.
    immediate_count: usize,
    /// Shares left, bids and asks. Computed from the orders alone, to be checked against the
    /// levels.
    leaves_total: [i64; 2],
    hash: u64,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            first_free: NONE,
            index: OrderIndex::default(),
            count: 0,
            immediate_count: 0,
            leaves_total: [0; 2],
            hash: 0,
        }
    }
}

impl Orders {
    pub fn count(&self) -> usize {
        self.count
    }

    /// Orders that rest only until the next auction.
    pub fn immediate_count(&self) -> usize {
        self.immediate_count
    }

    pub fn leaves_total(&self, side: Side) -> i64 {
        self.leaves_total[side as usize]
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn find(&self, order_id: i64) -> Option<u32> {
        self.index
            .find(order_id, |slot| self.slots[slot as usize].order_id == order_id)
    }

    pub fn get(&self, slot: u32) -> &Order {
        &self.slots[slot as usize]
    }

    /// Stores an order whose id is not in the slab.
    pub fn insert(&mut self, order: Order) -> u32 {
        let slot = if self.first_free == NONE {
            let slot = u32::try_from(self.slots.len()).expect("memory ends long before 2^32 orders");
            self.slots.push(order);
            slot
        } else {
            let slot = self.first_free;
            let place = &mut self.slots[slot as usize];
            self.first_free = place.next;
            *place = order;
            slot
        };
        self.index.insert(order.order_id, slot);
        self.count += 1;
        self.immediate_count += usize::from(!order.time_in_force.rests());
        self.leaves_total[order.side as usize] += i64::from(order.leaves);
        self.hash = self.hash.wrapping_add(order.content_hash());
        slot
    }

    /// Frees a slot and returns the order that it held.
    pub fn remove(&mut self, slot: u32) -> Order {
        let place = &mut self.slots[slot as usize];
        let order = *place;
        place.order_id = VACANT;
        place.next = self.first_free;
        self.first_free = slot;
        self.index.remove(order.order_id, slot);
        self.count -= 1;
        self.immediate_count -= usize::from(!order.time_in_force.rests());
        self.leaves_total[order.side as usize] -= i64::from(order.leaves);
        self.hash = self.hash.wrapping_sub(order.content_hash());
        order
    }

    /// Changes the shares, the place or the terms of an order, not its price.
    pub fn edit(&mut self, slot: u32, change: impl FnOnce(&mut Order)) {
        let order = &mut self.slots[slot as usize];
        let before = (order.leaves, order.time_in_force);
        self.hash = self.hash.wrapping_sub(order.content_hash());
        change(order);
        self.hash = self.hash.wrapping_add(order.content_hash());
        self.leaves_total[order.side as usize] += i64::from(order.leaves) - i64::from(before.0);
        self.immediate_count += usize::from(!order.time_in_force.rests());
        self.immediate_count -= usize::from(!before.1.rests());
    }

    pub fn set_next(&mut self, slot: u32, next: u32) {
        self.slots[slot as usize].next = next;
    }

    pub fn set_previous(&mut self, slot: u32, previous: u32) {
        self.slots[slot as usize].previous = previous;
    }

    /// Orders from a slot on, in the order of their slots, which has no meaning outside the slab.
    pub fn iter_from(&self, slot: u32) -> impl Iterator<Item = (u32, &Order)> {
        (slot..)
            .zip(self.slots.iter().skip(slot as usize))
            .filter(|(_, order)| order.order_id != VACANT)
    }

    /// Makes room for this many orders.
    pub fn reserve(&mut self, orders: usize) {
        self.slots.reserve(orders.saturating_sub(self.slots.len()));
        self.index.reserve(orders);
    }
}
