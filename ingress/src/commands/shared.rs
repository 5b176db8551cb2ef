//! A map with room for so many entries, which several owners share.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use super::bounded::Bounded;

/// A map that, when it is full, forgets the oldest entry of the owner who has most (of several such, of the one
/// whose oldest is older). So an owner loses nothing to another who has more. An entry that is put in the place of
/// another is new.
#[derive(Debug)]
pub struct Shared<O, K, V> {
    /// Each entry with the number of its turn.
    owners: HashMap<O, Bounded<K, (u64, V)>>,
    /// Every owner: how many entries, which turn its oldest was.
    ranks: BTreeSet<(usize, Reverse<u64>, O)>,
    len: usize,
    next: u64,
    room: usize,
}

impl<O: Hash + Ord + Copy, K: Hash + Eq + Clone, V> Shared<O, K, V> {
    /// A map with room for `room` entries, at least one.
    pub fn new(room: usize) -> Self {
        Self {
            owners: HashMap::new(),
            ranks: BTreeSet::new(),
            len: 0,
            next: 0,
            room: room.max(1),
        }
    }

    /// The entry of an owner's key.
    pub fn get(&self, owner: O, key: &K) -> Option<&V> {
        let (_, value) = self.owners.get(&owner)?.get(key)?;
        Some(value)
    }

    /// The same, to be changed in its place.
    pub fn get_mut(&mut self, owner: O, key: &K) -> Option<&mut V> {
        let (_, value) = self.owners.get_mut(&owner)?.get_mut(key)?;
        Some(value)
    }

    /// Puts an entry in. Returns the one in its place, or one that was forgotten as there was no room.
    pub fn insert(&mut self, owner: O, key: K, value: V) -> Option<V> {
        let replaced = self.remove(owner, &key);
        let forgotten = match self.len < self.room {
            true => None,
            false => self.forget(),
        };
        let turn = self.next;
        self.next += 1;
        self.change(owner, |entries| entries.insert(key, (turn, value)));
        self.len += 1;
        replaced.or(forgotten)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, owner: O, key: &K) -> Option<V> {
        self.owners.get(&owner)?.get(key)?;
        let removed = self.change(owner, |entries| entries.remove(key));
        self.len -= usize::from(removed.is_some());
        removed.map(|(_, value)| value)
    }

    fn forget(&mut self) -> Option<V> {
        let (.., owner) = *self.ranks.last()?;
        let forgotten = self.change(owner, Bounded::pop_oldest);
        self.len -= usize::from(forgotten.is_some());
        forgotten.map(|(_, value)| value)
    }

    /// Changes the entries of an owner, and his rank with them.
    fn change<T>(&mut self, owner: O, step: impl FnOnce(&mut Bounded<K, (u64, V)>) -> T) -> T {
        let room = self.room;
        let entries = self.owners.entry(owner).or_insert_with(|| Bounded::new(room));
        if let Some(rank) = rank(owner, entries) {
            self.ranks.remove(&rank);
        }
        let outcome = step(entries);
        match rank(owner, entries) {
            Some(rank) => drop(self.ranks.insert(rank)),
            None => drop(self.owners.remove(&owner)),
        }
        outcome
    }

    /// Entries that are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        assert_eq!(self.owners.len(), self.ranks.len());
        assert_eq!(self.owners.values().map(Bounded::len).sum::<usize>(), self.len);
        self.len
    }
}

/// None without entries.
fn rank<O, K: Hash + Eq + Clone, V>(owner: O, entries: &Bounded<K, (u64, V)>) -> Option<(usize, Reverse<u64>, O)> {
    let (turn, _) = entries.oldest()?;
    Some((entries.len(), Reverse(*turn), owner))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

    use super::*;

    /// The same, as it is described: a list, oldest first.
    struct Naive {
        entries: Vec<(u8, u8, u32)>,
        room: usize,
    }

    impl Naive {
        fn insert(&mut self, owner: u8, key: u8, value: u32) -> Option<u32> {
            let replaced = self.remove(owner, key);
            let forgotten = (self.entries.len() == self.room).then(|| {
                let count = |owner: u8| self.entries.iter().filter(|entry| entry.0 == owner).count();
                let most = self.entries.iter().map(|entry| count(entry.0)).max().unwrap_or(0);
                let oldest = self.entries.iter().position(|entry| count(entry.0) == most);
                self.entries.remove(oldest.unwrap_or(0)).2
            });
            self.entries.push((owner, key, value));
            replaced.or(forgotten)
        }

        fn remove(&mut self, owner: u8, key: u8) -> Option<u32> {
            let place = self
                .entries
                .iter()
                .position(|entry| (entry.0, entry.1) == (owner, key))?;
            Some(self.entries.remove(place).2)
        }

        fn get(&self, owner: u8, key: u8) -> Option<u32> {
            let entry = self.entries.iter().find(|entry| (entry.0, entry.1) == (owner, key))?;
            Some(entry.2)
        }
    }

    #[test]
    fn it_keeps_what_a_list_keeps() {
        for seed in 0..200 {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let room = random.random_range(1..=8);
            let (mut shared, mut naive) = (
                Shared::new(room),
                Naive {
                    entries: Vec::new(),
                    room,
                },
            );
            for value in 0..500 {
                let (owner, key): (u8, u8) = (random.random_range(0..3), random.random_range(0..5));
                if random.random_range(0..3) == 0 {
                    assert_eq!(shared.remove(owner, &key), naive.remove(owner, key), "seed {seed}");
                } else {
                    assert_eq!(
                        shared.insert(owner, key, value),
                        naive.insert(owner, key, value),
                        "seed {seed}"
                    );
                }
                assert_eq!(shared.len(), naive.entries.len());
                for owner in 0..3 {
                    for key in 0..5 {
                        assert_eq!(shared.get(owner, &key).copied(), naive.get(owner, key), "seed {seed}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_flood_takes_nothing_of_who_has_less() {
        let mut shared = Shared::new(100);
        for key in 0..30 {
            shared.insert("quiet", key, key);
        }
        for key in 0..10_000 {
            shared.insert("flood", key, key);
        }
        assert!((0..30).all(|key| shared.get("quiet", &key).is_some()));
        assert_eq!((shared.len(), shared.get("flood", &9_999)), (100, Some(&9_999)));
        for key in 30..60 {
            shared.insert("quiet", key, key);
        }
        let has =
            |shared: &Shared<_, i32, i32>, owner| (0..10_000).filter(|key| shared.get(owner, key).is_some()).count();
        assert_eq!((has(&shared, "quiet"), has(&shared, "flood")), (50, 50), "half each");
    }
}
