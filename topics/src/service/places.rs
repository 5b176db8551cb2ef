//! So many at once of each: places that are given back when they are dropped.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places per key. Only keys that hold one take memory; clones share them.
#[derive(Debug)]
pub struct Places<K> {
    taken: Arc<Mutex<HashMap<K, usize>>>,
    each_max: usize,
}

/// One place of a key, until it is dropped.
#[derive(Debug)]
pub struct Place<K: Eq + Hash> {
    taken: Arc<Mutex<HashMap<K, usize>>>,
    key: K,
}

impl<K> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self {
            taken: Arc::clone(&self.taken),
            each_max: self.each_max,
        }
    }
}

impl<K: Eq + Hash + Clone> Places<K> {
    /// `each_max` places for every key.
    pub fn new(each_max: usize) -> Self {
        Self {
            taken: Arc::default(),
            each_max,
        }
    }

    /// Takes a place; none when the key has all of its places already.
    pub fn take(&self, key: K) -> Option<Place<K>> {
        let mut taken = lock(&self.taken);
        let count = taken.entry(key.clone()).or_default();
        if *count >= self.each_max {
            if *count == 0 {
                taken.remove(&key);
            }
            return None;
        }
        *count += 1;
        Some(Place {
            taken: Arc::clone(&self.taken),
            key,
        })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        match taken.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.key)),
        }
    }
}

/// The counts are right even after a thread panicked while it held the lock.
fn lock<K>(taken: &Mutex<HashMap<K, usize>>) -> MutexGuard<'_, HashMap<K, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_places_and_takes_none_of_another() {
        let places = Places::new(2);
        let (first, second) = (places.take("a"), places.take("a"));
        assert!(first.is_some() && second.is_some() && places.take("a").is_none());
        let other = places.take("b");
        assert!(other.is_some());
        drop(first);
        let third = places.clone().take("a");
        assert!(third.is_some() && places.take("a").is_none());
        drop((second, third, other));
        assert!(lock(&places.taken).is_empty(), "nobody holds a place");
        assert!(Places::new(0).take("a").is_none());
    }
}
