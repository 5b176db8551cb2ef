//! Hashes that are part of the state: the same on every machine and in every run.

use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::xxh3_128;

/// The 64-bit hash of one entry of the state, for sums and comparisons of whole states. Not for
/// keys that an adversary may choose.
pub(super) fn entry_hash(value: &impl Hash) -> u64 {
    let mut hasher = StateHasher(0x9e37_79b9_7f4a_7c15);
    value.hash(&mut hasher);
    hasher.finish()
}

/// A folded-multiply hasher without a seed; the standard library's differs from run to run.
struct StateHasher(u64);

impl StateHasher {
    fn mix(&mut self, word: u64) {
        let product = u128::from((self.0 ^ word).wrapping_add(0xa076_1d64_78bd_642f)) * 0xe703_7ed1_a0b4_28db;
        self.0 = (product as u64 ^ (product >> 64) as u64).rotate_left(23);
    }
}

impl Hasher for StateHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }
    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }
    fn write_u16(&mut self, value: u16) {
        self.mix(u64::from(value));
    }
    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }
    fn write_u128(&mut self, value: u128) {
        self.mix(value as u64);
        self.mix((value >> 64) as u64);
    }
    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
    fn finish(&self) -> u64 {
        let mut last = Self(self.0);
        last.mix(0x8ebc_6af0_9c88_c6e3);
        last.0
    }
}

/// The 128-bit hash by which the content of two commands is compared and under which a client's
/// key is remembered.
pub(super) fn content_hash(content: &(impl Hash + ?Sized)) -> u128 {
    let mut collector = Collector(Vec::with_capacity(128));
    content.hash(&mut collector);
    xxh3_128(&collector.0)
}

/// Lays a value out as bytes, little-endian on every machine.
struct Collector(Vec<u8>);

impl Hasher for Collector {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    fn write_u16(&mut self, value: u16) {
        self.write(&value.to_le_bytes());
    }
    fn write_u32(&mut self, value: u32) {
        self.write(&value.to_le_bytes());
    }
    fn write_u64(&mut self, value: u64) {
        self.write(&value.to_le_bytes());
    }
    fn write_u128(&mut self, value: u128) {
        self.write(&value.to_le_bytes());
    }
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
    fn finish(&self) -> u64 {
        xxh3_128(&self.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_in_every_run() {
        assert_eq!(
            entry_hash(&(1_i64, "key", Some(2_u128))),
            entry_hash(&(1_i64, "key", Some(2_u128)))
        );
        assert_ne!(entry_hash(&(1_i64, 2_i64)), entry_hash(&(2_i64, 1_i64)));
        assert_ne!(entry_hash(&("ab", "c")), entry_hash(&("a", "bc")));
        assert_eq!(content_hash(&7_i64), xxh3_128(&7_i64.to_le_bytes()));
        assert_ne!(content_hash(&("ab", "c")), content_hash(&("a", "bc")));
    }
}
