//! Finds the slot of an order by its id: open addressing with linear probing.
//!
//! An entry is 8 bytes: a 32-bit hash of the id, and the slot. The id itself is compared in the slab.
//! Removal shifts the entries behind it back, so there are no tombstones and no rehashing of a table
//! that does not grow. The hash has no secret: ids are given by settlement, not by clients.

#[derive(Clone, Debug, Default)]
pub(super) struct OrderIndex {
    /// Hash in the high half, slot + 1 in the low half; 0 is free. The length is a power of two.
    entries: Vec<u64>,
    count: usize,
}

const CAPACITY_MIN: usize = 16;

/// Fibonacci hashing: the high half of the product is well mixed, for dense ids above all.
fn hash_of(order_id: i64) -> u32 {
    ((order_id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

fn entry_of(hash: u32, slot: u32) -> u64 {
    u64::from(hash) << 32 | (u64::from(slot) + 1)
}

fn hash_in(entry: u64) -> u32 {
    (entry >> 32) as u32
}

impl OrderIndex {
    /// The entry at which the search for a hash begins.
    fn home(&self, hash: u32) -> usize {
        // The top bits of the hash, as many as the table needs.
        ((u64::from(hash) * self.entries.len() as u64) >> 32) as usize
    }

    fn mask(&self) -> usize {
        self.entries.len() - 1
    }

    /// The slot whose order `is` the one with this id.
    pub fn find(&self, order_id: i64, is: impl Fn(u32) -> bool) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let hash = hash_of(order_id);
        let mut at = self.home(hash);
        loop {
            let entry = self.entries[at];
            if entry == 0 {
                return None;
            }
            let slot = (entry as u32).wrapping_sub(1);
            if hash_in(entry) == hash && is(slot) {
                return Some(slot);
            }
            at = (at + 1) & self.mask();
        }
    }

    /// Adds an id that is not in the index.
    pub fn insert(&mut self, order_id: i64, slot: u32) {
        if (self.count + 1) * 4 > self.entries.len() * 3 {
            self.grow();
        }
        self.place(entry_of(hash_of(order_id), slot));
        self.count += 1;
    }

    fn place(&mut self, entry: u64) {
        let mut at = self.home(hash_in(entry));
        while self.entries[at] != 0 {
            at = (at + 1) & self.mask();
        }
        self.entries[at] = entry;
    }

    /// Makes room for this many ids.
    pub fn reserve(&mut self, count: usize) {
        let capacity = (count + count / 2).next_power_of_two();
        if capacity > self.entries.len() {
            self.resize(capacity.max(CAPACITY_MIN));
        }
    }

    fn grow(&mut self) {
        self.resize((self.entries.len() * 2).max(CAPACITY_MIN));
    }

    fn resize(&mut self, capacity: usize) {
        let entries = std::mem::replace(&mut self.entries, vec![0; capacity]);
        for entry in entries.into_iter().filter(|entry| *entry != 0) {
            self.place(entry);
        }
    }

    /// Removes an id that stands at `slot`.
    pub fn remove(&mut self, order_id: i64, slot: u32) {
        let wanted = entry_of(hash_of(order_id), slot);
        let mut hole = self.home(hash_in(wanted));
        while self.entries[hole] != wanted {
            if self.entries[hole] == 0 {
                return;
            }
            hole = (hole + 1) & self.mask();
        }
        // An entry may move back into the hole unless its home lies behind it.
        let mut at = (hole + 1) & self.mask();
        while self.entries[at] != 0 {
            let entry = self.entries[at];
            let distance_home = at.wrapping_sub(self.home(hash_in(entry))) & self.mask();
            let distance_hole = at.wrapping_sub(hole) & self.mask();
            if distance_home >= distance_hole {
                self.entries[hole] = entry;
                hole = at;
            }
            at = (at + 1) & self.mask();
        }
        self.entries[hole] = 0;
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids come and go, near to each other and far apart: those in the index are found, others are
    /// not.
    #[test]
    fn agrees_with_a_list() {
        for stride in [1_i64, 3, 1 << 20, 1 << 44] {
            let mut index = OrderIndex::default();
            let mut ids: Vec<Option<i64>> = vec![None; 300];
            let mut random = 88_172_645_463_325_252_u64 ^ stride as u64;
            for _ in 0..20_000 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let slot = (random % ids.len() as u64) as usize;
                match ids[slot].take() {
                    Some(id) => index.remove(id, slot as u32),
                    None => {
                        let id = (random >> 20) as i64 % 10_000 * stride % (1 << 62);
                        if !ids.contains(&Some(id)) {
                            ids[slot] = Some(id);
                            index.insert(id, slot as u32);
                        }
                    }
                }
                let probe = (random >> 40) as usize % ids.len();
                if let Some(id) = ids[probe] {
                    let found = index.find(id, |slot| ids[slot as usize] == Some(id));
                    assert_eq!(found, Some(probe as u32));
                }
                assert_eq!(index.find(-7, |_| true), None);
            }
            assert_eq!(index.count, ids.iter().flatten().count());
        }
    }
}
