//! Stops and stop-limits that wait for their trigger.
//!
//! They are no part of the book that others see. A stop is found by its id, and by its stop price:
//! the stops that a trade price reaches stand at one end of their side's map.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use super::types::{Side, Stop, Ticks};

/// Stop price, then place in time.
type Place = (Ticks, u64);

/// The stops of one book.
#[derive(Clone, Debug, Default)]
pub(super) struct Stops {
    buys: BTreeMap<Place, Stop>,
    sells: BTreeMap<Place, Stop>,
    places: BTreeMap<i64, (Side, Place)>,
    hash: u64,
}

impl Stop {
    fn content_hash(&self) -> u64 {
        let words = [
            self.order_id as u64,
            self.account_id as u64,
            self.stop as u64,
            self.limit.map_or(0, |limit| limit as u64),
            self.collar_cents.map_or(0, |collar| collar as u64),
            self.quantity as u64,
            self.placed,
            u64::from(self.side as u8)
                | u64::from(self.time_in_force as u8) << 8
                | u64::from(self.limit.is_some()) << 16
                | u64::from(self.self_trade_prevention as u8) << 24
                | u64::from(self.collar_cents.is_some()) << 32,
        ];
        let mut bytes = [1; 65];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        xxh3_64(&bytes)
    }
}

impl Stops {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    fn side(&self, side: Side) -> &BTreeMap<Place, Stop> {
        match side {
            Side::Buy => &self.buys,
            Side::Sell => &self.sells,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Place, Stop> {
        match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        }
    }

    pub fn get(&self, order_id: i64) -> Option<&Stop> {
        let (side, place) = self.places.get(&order_id)?;
        self.side(*side).get(place)
    }

    pub fn insert(&mut self, stop: Stop) {
        let place = (stop.stop, stop.placed);
        self.hash = self.hash.wrapping_add(stop.content_hash());
        self.places.insert(stop.order_id, (stop.side, place));
        self.side_mut(stop.side).insert(place, stop);
    }

    pub fn remove(&mut self, order_id: i64) -> Option<Stop> {
        let (side, place) = self.places.remove(&order_id)?;
        let stop = self.side_mut(side).remove(&place)?;
        self.hash = self.hash.wrapping_sub(stop.content_hash());
        Some(stop)
    }

    /// The next stop that a trade price reaches.
    pub fn reached(&self, price: Ticks) -> Option<i64> {
        let buy = self.buys.first_key_value().filter(|((stop, _), _)| *stop <= price);
        let sell = || self.sells.last_key_value().filter(|((stop, _), _)| *stop >= price);
        buy.or_else(sell).map(|(_, stop)| stop.order_id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Stop> {
        self.buys.values().chain(self.sells.values())
    }

    /// Stops by id, from an id on.
    pub fn from(&self, order_id: i64) -> impl Iterator<Item = &Stop> {
        let places = self.places.range(order_id..);
        places.filter_map(|(_, (side, place))| self.side(*side).get(place))
    }

    /// Whether both ways to find a stop know equally many.
    pub fn agrees(&self) -> bool {
        self.buys.len() + self.sells.len() == self.places.len()
    }
}
