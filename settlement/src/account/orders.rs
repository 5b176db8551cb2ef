//! The orders of an account: whole while anything can still happen to them, packed once they are closed.
//!
//! A closed order is kept for the day of its key, and hardly ever looked at: for a repeat, or for a word of its book
//! that comes too late. Whole it takes some 600 bytes, packed and with all that leads to it some 250. This is how it lies in memory and nothing
//! else: to the rest of the machine, to the state's hash and to snapshots a packed order is the order.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use brokerx_schemas::OrderId;
use serde::{Deserialize, Serialize};

use super::hash::{content_hash, entry_hash};
use super::order::Order;

/// Orders by their ids, with the wrapping sum of their hashes.
#[derive(Debug, Default)]
pub(super) struct Orders {
    whole: BTreeMap<OrderId, Box<Order>>,
    packed: BTreeMap<OrderId, Packed>,
    sum: u64,
}

/// An order as bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packed(Box<[u8]>);

/// An order as it is kept; the same to serde, whichever it is.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, on its way into a snapshot or out of one"
)]
pub(super) enum Kept<'a> {
    Whole(Cow<'a, Order>),
    Packed(&'a Packed),
}

impl Packed {
    fn of(order: &Order) -> Self {
        let bytes =
            postcard::to_allocvec(order).expect("an order has only fields that can be packed, and memory grows");
        Self(bytes.into_boxed_slice())
    }

    fn unpacked(&self) -> Order {
        postcard::from_bytes(&self.0).expect("this process has packed it, from an order")
    }
}

impl Kept<'_> {
    /// The order.
    pub(super) fn into_order(self) -> Order {
        match self {
            Self::Whole(order) => order.into_owned(),
            Self::Packed(packed) => packed.unpacked(),
        }
    }
}

impl Serialize for Kept<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(order) => order.serialize(serializer),
            Self::Packed(packed) => packed.unpacked().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Kept<'_> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Order::deserialize(deserializer).map(|order| Self::Whole(Cow::Owned(order)))
    }
}

fn hash_of(order: &Order) -> u64 {
    entry_hash(&(&order.id, order))
}

impl Orders {
    /// An order; made anew from its bytes when it is packed.
    pub(super) fn get(&self, id: &OrderId) -> Option<Cow<'_, Order>> {
        let whole = self.whole.get(id).map(|order| Cow::Borrowed(&**order));
        whole.or_else(|| self.packed.get(id).map(|packed| Cow::Owned(packed.unpacked())))
    }

    pub(super) fn contains(&self, id: &OrderId) -> bool {
        self.whole.contains_key(id) || self.packed.contains_key(id)
    }

    pub(super) fn len(&self) -> usize {
        self.whole.len() + self.packed.len()
    }

    /// The sum of the hashes of all orders.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// All of them, in the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = Kept<'_>> {
        let mut whole = self.whole.iter().peekable();
        let mut packed = self.packed.iter().peekable();
        std::iter::from_fn(move || {
            let is_whole = match (whole.peek(), packed.peek()) {
                (Some((of_whole, _)), Some((of_packed, _))) => of_whole < of_packed,
                (of_whole, _) => of_whole.is_some(),
            };
            match is_whole {
                true => whole.next().map(|(_, order)| Kept::Whole(Cow::Borrowed(&**order))),
                false => packed.next().map(|(_, order)| Kept::Packed(order)),
            }
        })
    }

    /// Adds a new order, whole.
    pub(super) fn insert(&mut self, order: Box<Order>) {
        self.remove(&order.id);
        self.sum = self.sum.wrapping_add(hash_of(&order));
        self.whole.insert(order.id, order);
    }

    pub(super) fn remove(&mut self, id: &OrderId) -> Option<Box<Order>> {
        self.unpack(*id);
        let order = self.whole.remove(id)?;
        self.sum = self.sum.wrapping_sub(hash_of(&order));
        Some(order)
    }

    /// An order to change, whole from now on; its hash is brought up to date when the guard goes.
    pub(super) fn edit(&mut self, id: OrderId) -> Option<EditingOrder<'_>> {
        self.unpack(id);
        let order = self.whole.get_mut(&id)?;
        Some(EditingOrder {
            before: hash_of(order),
            order,
            sum: &mut self.sum,
        })
    }

    /// Packs an order to which nothing more should happen.
    pub(super) fn pack(&mut self, id: OrderId) {
        if let Some(order) = self.whole.remove(&id) {
            self.packed.insert(id, Packed::of(&order));
        }
    }

    fn unpack(&mut self, id: OrderId) {
        if let Some(packed) = self.packed.remove(&id) {
            self.whole.insert(id, Box::new(packed.unpacked()));
        }
    }
}

/// Access to one order.
#[derive(Debug)]
pub(super) struct EditingOrder<'a> {
    order: &'a mut Order,
    sum: &'a mut u64,
    before: u64,
}

impl Deref for EditingOrder<'_> {
    type Target = Order;
    fn deref(&self) -> &Order {
        self.order
    }
}

impl DerefMut for EditingOrder<'_> {
    fn deref_mut(&mut self) -> &mut Order {
        self.order
    }
}

impl Drop for EditingOrder<'_> {
    fn drop(&mut self) {
        *self.sum = self.sum.wrapping_sub(self.before).wrapping_add(hash_of(self.order));
    }
}

/// Which order has a client's own id. Half of the id's hash leads to it; the order itself says whether it is the one.
#[derive(Debug, Default)]
pub(super) struct OrderKeys(BTreeSet<(u64, OrderId)>);

impl OrderKeys {
    fn half(key: u128) -> u64 {
        (key >> 64) as u64
    }

    pub(super) fn insert(&mut self, key: u128, id: OrderId) {
        self.0.insert((Self::half(key), id));
    }

    pub(super) fn remove(&mut self, key: u128, id: OrderId) {
        self.0.remove(&(Self::half(key), id));
    }

    /// Those that may have the key, nearly always one at most; `is_it` tells the one that does.
    pub(super) fn find(&self, key: u128, is_it: impl Fn(OrderId) -> bool) -> Option<OrderId> {
        let half = Self::half(key);
        let same = self.0.range((half, OrderId(i64::MIN))..=(half, OrderId(i64::MAX)));
        same.map(|(_, id)| *id).find(|id| is_it(*id))
    }
}

/// The key under which an order is found by its client's own id.
pub(super) fn key_of(order: &Order) -> u128 {
    content_hash(&*order.client_order_id)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_schemas::{
        Config, Execution, Liquidity, OrderStatus, OrderType, SelfTradePrevention, Side, Symbol, TimeInForce, TradeId,
    };
    use proptest::prelude::*;

    use super::super::entries::Entries;
    use super::super::fees::{FeeSchedule, Traded};
    use super::super::order::{CancelInFlight, Executions, Terms};
    use super::*;

    fn order(id: i64) -> Order {
        let mut executions = Executions::default();
        executions.push(Execution {
            trade_id: TradeId(35_184_372_088_000 + id),
            price_cents: 185_50,
            quantity: 10,
            fee_cents: 186,
            liquidity: Liquidity::Taker,
            executed_us: 1_790_000_000_000_000,
        });
        Order {
            id: OrderId(35_184_372_088_000 + id),
            client_order_id: format!("client-order-{id:04}").into(),
            content: content_hash(&id),
            symbol: Symbol::new("AAPL").unwrap(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            stop_price_cents: None,
            collar_price_cents: None,
            post_only: false,
            display_quantity: None,
            self_trade_prevention: SelfTradePrevention::CancelIncoming,
            terms: Terms {
                quantity: 10,
                price_cents: Some(185_50),
                time_in_force: TimeInForce::Gtc,
            },
            change: None,
            fees: FeeSchedule::of(&Config::default()),
            status: OrderStatus::Filled,
            reason: None,
            version: 1,
            event_seq: 3,
            traded: Traded::default(),
            reserved_cents: 0,
            reserved_quantity: 0,
            created_us: 1_790_000_000_000_000,
            updated_us: 1_790_000_000_004_000,
            in_flight: 0,
            closed_us: Some(1_790_000_000_004_000),
            executions,
            cancel: CancelInFlight::default(),
        }
    }

    #[test]
    fn a_packed_order_is_small_and_the_same() {
        let order = order(1);
        let packed = Packed::of(&order);
        assert!(packed.0.len() <= 130, "{} bytes", packed.0.len());
        assert_eq!(packed.unpacked(), order);
        // As in a snapshot.
        let bytes = |kept: Kept<'_>| rmp_serde::to_vec(&kept).unwrap();
        let of_packed = bytes(Kept::Packed(&packed));
        assert_eq!(of_packed, bytes(Kept::Whole(Cow::Borrowed(&order))));
        let read: Kept<'_> = rmp_serde::from_slice(&of_packed).unwrap();
        assert_eq!(read.into_order(), order);
    }

    #[test]
    fn half_a_key_leads_to_the_order_that_has_the_whole_of_it() {
        let mut keys = OrderKeys::default();
        let (first, second) = ((7_u128 << 64) + 1, (7_u128 << 64) + 2);
        keys.insert(first, OrderId(10));
        keys.insert(second, OrderId(11));
        let found = |keys: &OrderKeys, key, id| keys.find(key, |of| of == id);
        assert_eq!(found(&keys, second, OrderId(11)), Some(OrderId(11)));
        assert_eq!(found(&keys, second, OrderId(12)), None);
        keys.remove(second, OrderId(11));
        assert_eq!(found(&keys, second, OrderId(11)), None);
        assert_eq!(found(&keys, first, OrderId(10)), Some(OrderId(10)));
        assert_eq!(found(&keys, 8 << 64, OrderId(10)), None);
    }

    proptest! {
        /// Whatever is packed meanwhile, it is the map that it was.
        #[test]
        fn packing_changes_nothing_that_can_be_seen(steps in prop::collection::vec((0..6_u8, 0..8_i64), 0..60)) {
            let mut orders = Orders::default();
            let mut naive: Entries<OrderId, Order> = Entries::default();
            for (step, number) in steps {
                let new = order(number);
                let id = new.id;
                match step {
                    0 | 1 => {
                        orders.insert(Box::new(new.clone()));
                        naive.insert(id, new);
                    }
                    2 => prop_assert_eq!(orders.remove(&id).map(|order| *order), naive.remove(&id)),
                    3 => {
                        let touched = orders.edit(id).map(|mut order| order.touch(5));
                        prop_assert_eq!(touched, naive.edit(id).map(|mut order| order.touch(5)));
                    }
                    _ => orders.pack(id),
                }
                prop_assert_eq!(orders.sum(), naive.sum());
                prop_assert_eq!(orders.len(), naive.len());
                prop_assert_eq!(orders.contains(&id), naive.contains(&id));
                prop_assert_eq!(orders.get(&id).map(Cow::into_owned), naive.get(&id).cloned());
            }
            let all: Vec<Order> = orders.iter().map(Kept::into_order).collect();
            let expected: Vec<Order> = naive.iter().map(|(_, order)| order.clone()).collect();
            prop_assert_eq!(all, expected);
        }
    }
}
