//! Maps that keep the hash of what they hold up to date.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::ops::{Deref, DerefMut};

use super::hash::entry_hash;

/// An ordered map with the wrapping sum of its entries' hashes: reading the hash of a whole map
/// costs nothing, changing an entry costs two hashes of that entry.
#[derive(Debug)]
pub(super) struct Entries<K, V> {
    map: BTreeMap<K, V>,
    sum: u64,
}

impl<K, V> Default for Entries<K, V> {
    fn default() -> Self {
        Self {
            map: BTreeMap::new(),
            sum: 0,
        }
    }
}

impl<K: Ord + Copy + Hash, V: Hash> Entries<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.map.contains_key(key)
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// In the order of the keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.map.iter()
    }

    /// The sum of the hashes of all entries.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// Adds an entry, or replaces the one with the same key.
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.sum = self.sum.wrapping_add(entry_hash(&(&key, &value)));
        if let Some(previous) = self.map.insert(key, value) {
            self.sum = self.sum.wrapping_sub(entry_hash(&(&key, &previous)));
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let value = self.map.remove(key)?;
        self.sum = self.sum.wrapping_sub(entry_hash(&(key, &value)));
        Some(value)
    }

    /// An entry to change; its hash is brought up to date when the guard goes.
    pub(super) fn edit(&mut self, key: K) -> Option<Editing<'_, K, V>> {
        let value = self.map.get_mut(&key)?;
        Some(Editing {
            before: entry_hash(&(&key, &*value)),
            key,
            value,
            sum: &mut self.sum,
        })
    }
}

impl<K: Ord + Copy + Hash, V: Hash + Default> Entries<K, V> {
    /// As [`Entries::edit`], but an entry that is missing begins as the default.
    pub(super) fn edit_or_default(&mut self, key: K) -> Editing<'_, K, V> {
        if !self.contains(&key) {
            self.insert(key, V::default());
        }
        self.edit(key).expect("the entry was just made")
    }
}

/// Access to one entry.
#[derive(Debug)]
pub(super) struct Editing<'a, K: Hash, V: Hash> {
    key: K,
    value: &'a mut V,
    sum: &'a mut u64,
    before: u64,
}

impl<K: Hash, V: Hash> Deref for Editing<'_, K, V> {
    type Target = V;
    fn deref(&self) -> &V {
        self.value
    }
}

impl<K: Hash, V: Hash> DerefMut for Editing<'_, K, V> {
    fn deref_mut(&mut self) -> &mut V {
        self.value
    }
}

impl<K: Hash, V: Hash> Drop for Editing<'_, K, V> {
    fn drop(&mut self) {
        let after = entry_hash(&(&self.key, &*self.value));
        *self.sum = self.sum.wrapping_sub(self.before).wrapping_add(after);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_depends_on_what_is_held_and_not_on_how_it_came_there() {
        let mut direct = Entries::default();
        direct.insert(1_i64, 10_i64);
        direct.insert(2, 20);
        let mut detour = Entries::default();
        detour.insert(2, 5);
        detour.insert(3, 7);
        detour.insert(1, 10);
        *detour.edit(2).unwrap() = 20;
        detour.remove(&3);
        assert_eq!(direct.sum(), detour.sum());
        *detour.edit_or_default(2) = 21;
        assert_ne!(direct.sum(), detour.sum());
    }
}
