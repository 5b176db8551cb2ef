//! Which partition a key belongs to: the Java client's default partitioner, so that other teams'
//! Kafka Streams jobs are co-partitioned with ours.

use brokerx_schemas::{AccountId, Symbol};

/// The partition of a key among `partitions`.
///
/// # Panics
/// When `partitions` is not positive.
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    assert!(partitions > 0, "a topic has at least one partition");
    // The sign bit is masked off, as `toPositive` of the Java client does; the absolute value would
    // differ.
    ((murmur2(key) & 0x7fff_ffff) % partitions as u32) as i32
}

/// The record key of an account: its id in decimal.
pub fn account_key(account_id: AccountId) -> Vec<u8> {
    account_id.to_string().into_bytes()
}

/// The record key of a symbol: its text.
pub fn symbol_key(symbol: Symbol) -> Vec<u8> {
    symbol.as_str().as_bytes().to_vec()
}

/// MurmurHash2, 32 bit, as in `org.apache.kafka.common.utils.Utils.murmur2` (seed 0x9747b28c).
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of the Java client's own test, `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_equals_the_java_client() {
        for (key, expected) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key}");
        }
    }
}
