//! A map with room for so many entries.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// A map that forgets its oldest entry when it is full. An entry that is put in the place of another is new.
#[derive(Debug)]
pub struct Bounded<K, V> {
    entries: HashMap<K, (u64, V)>,
    /// The keys by when they were put in: exactly those that have an entry.
    by_age: BTreeMap<u64, K>,
    next: u64,
    room: usize,
}

impl<K: Hash + Eq + Clone, V> Bounded<K, V> {
    /// A map with room for `room` entries, at least one.
    pub fn new(room: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            next: 0,
            room: room.max(1),
        }
    }

    /// The entry of a key.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// The entry of a key, to be changed in its place.
    pub fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// Puts an entry in. Returns the one in its place, or the oldest one when there was no room.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let replaced = self.remove(&key);
        let forgotten = match self.entries.len() < self.room {
            true => None,
            false => self.pop_oldest(),
        };
        let number = self.next;
        self.next += 1;
        self.by_age.insert(number, key.clone());
        self.entries.insert(key, (number, value));
        replaced.or(forgotten)
    }

    /// Takes an entry out.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (number, value) = self.entries.remove(key)?;
        self.by_age.remove(&number);
        Some(value)
    }

    /// The entry that was put in first.
    pub fn oldest(&self) -> Option<&V> {
        let (_, key) = self.by_age.first_key_value()?;
        self.get(key)
    }

    /// Takes that out.
    pub fn pop_oldest(&mut self) -> Option<V> {
        let (_, key) = self.by_age.pop_first()?;
        self.entries.remove(&key).map(|(_, value)| value)
    }

    /// Entries that are kept.
    pub fn len(&self) -> usize {
        debug_assert_eq!(self.entries.len(), self.by_age.len());
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

    use super::*;

    /// The same, as it is described: a list, oldest first.
    struct Naive {
        entries: Vec<(u8, u32)>,
        room: usize,
    }

    impl Naive {
        fn insert(&mut self, key: u8, value: u32) -> Option<u32> {
            let replaced = self.remove(key);
            let forgotten = (self.entries.len() == self.room).then(|| self.entries.remove(0).1);
            self.entries.push((key, value));
            replaced.or(forgotten)
        }

        fn remove(&mut self, key: u8) -> Option<u32> {
            let place = self.entries.iter().position(|(of, _)| *of == key)?;
            Some(self.entries.remove(place).1)
        }

        fn get(&self, key: u8) -> Option<u32> {
            let entry = self.entries.iter().find(|(of, _)| *of == key)?;
            Some(entry.1)
        }
    }

    #[test]
    fn it_keeps_what_a_list_keeps() {
        for seed in 0..200 {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let room = random.random_range(1..=6);
            let (mut bounded, mut naive) = (
                Bounded::new(room),
                Naive {
                    entries: Vec::new(),
                    room,
                },
            );
            for value in 0..500 {
                let key: u8 = random.random_range(0..10);
                match random.random_range(0..4) {
                    3 => {
                        let oldest = (!naive.entries.is_empty()).then(|| naive.entries.remove(0).1);
                        assert_eq!(bounded.pop_oldest(), oldest, "seed {seed}");
                    }
                    0 => assert_eq!(bounded.remove(&key), naive.remove(key), "seed {seed}"),
                    1 => {
                        assert_eq!(bounded.insert(key, value), naive.insert(key, value), "seed {seed}");
                        // Removed and put in again at once: its former place must not count.
                        if value % 5 == 0 {
                            assert_eq!(bounded.remove(&key), naive.remove(key));
                            assert_eq!(bounded.insert(key, value), naive.insert(key, value), "seed {seed}");
                        }
                    }
                    _ => {
                        if let Some(entry) = bounded.get_mut(&key) {
                            *entry += 1_000;
                        }
                        if let Some(entry) = naive.entries.iter_mut().find(|(of, _)| *of == key) {
                            entry.1 += 1_000;
                        }
                    }
                }
                assert_eq!(
                    (bounded.len(), bounded.by_age.len()),
                    (naive.entries.len(), naive.entries.len())
                );
                assert_eq!(
                    bounded.oldest(),
                    naive.entries.first().map(|(_, value)| value),
                    "seed {seed}"
                );
                for key in 0..10 {
                    assert_eq!(bounded.get(&key).copied(), naive.get(key), "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn a_younger_entry_of_a_key_does_not_go_for_an_older_one() {
        let mut bounded = Bounded::new(2);
        bounded.insert("a", 1);
        bounded.remove("a");
        bounded.insert("b", 2);
        bounded.insert("a", 3);
        assert_eq!(bounded.insert("c", 4), Some(2), "b is the oldest");
        assert_eq!((bounded.get("a"), bounded.get("b")), (Some(&3), None));
    }
}
