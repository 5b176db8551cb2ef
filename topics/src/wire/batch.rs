//! A record batch in the making, in the form that Kafka stores (magic 2).
//!
//! <https://kafka.apache.org/documentation/#recordbatch>

/// Bytes before the first record.
const HEADER_BYTES: usize = 61;
/// Where the checksum begins, and what it covers ends with the batch.
const CHECKED_FROM: usize = 21;
const LENGTH_AT: usize = 8;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const LAST_DELTA_AT: usize = 23;
const COUNT_AT: usize = 57;

/// A header: its name and its value.
pub type Header<'a> = (&'a str, &'a [u8]);

/// Records that become one batch.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    records: i32,
}

impl Batch {
    /// A batch without records. `now_ms` is what its records say of their time, in milliseconds since the
    /// epoch; a topic with log append time does not look at it.
    pub(super) fn new(now_ms: i64) -> Self {
        let mut bytes = Vec::with_capacity(1024);
        // Base offset, length.
        bytes.extend([0; 12]);
        // The leader epoch is the broker's to say.
        bytes.extend((-1_i32).to_be_bytes());
        bytes.push(2);
        // Checksum, attributes (no compression, no transaction), last offset delta.
        bytes.extend([0; 10]);
        // The first and the last time.
        bytes.extend(now_ms.to_be_bytes());
        bytes.extend(now_ms.to_be_bytes());
        // No producer id, no epoch, no sequence.
        bytes.extend((-1_i64).to_be_bytes());
        bytes.extend((-1_i16).to_be_bytes());
        bytes.extend((-1_i32).to_be_bytes());
        // The number of records.
        bytes.extend([0; 4]);
        debug_assert_eq!((bytes.len(), bytes[MAGIC_AT]), (HEADER_BYTES, 2));
        Self { bytes, records: 0 }
    }

    /// Its size in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The size that a record has in a batch, at most.
    pub(super) fn size_of(key: Option<&[u8]>, value: &[u8], headers: &[Header<'_>]) -> usize {
        // Seven numbers of five bytes at most, and two for each header.
        let headers = headers.iter().map(|(name, value)| name.len() + value.len() + 10);
        35 + key.map_or(0, <[u8]>::len) + value.len() + headers.sum::<usize>()
    }

    /// Appends a record.
    pub(super) fn push(&mut self, key: Option<&[u8]>, value: &[u8], headers: &[Header<'_>]) {
        // Attributes, a time that is the batch's, the place in the batch.
        let offset_delta = i64::from(self.records);
        let length = 2 + varint_len(offset_delta) + bytes_len(key) + bytes_len(Some(value));
        let of_headers = headers
            .iter()
            .map(|(name, value)| bytes_len(Some(name.as_bytes())) + bytes_len(Some(value)));
        let length = length + varint_len(headers.len() as i64) + of_headers.sum::<usize>();
        self.varint(length as i64);
        self.bytes.extend([0, 0]);
        self.varint(offset_delta);
        self.text(key);
        self.text(Some(value));
        self.varint(headers.len() as i64);
        for (name, value) in headers {
            self.text(Some(name.as_bytes()));
            self.text(Some(value));
        }
        self.records += 1;
    }

    /// The bytes of the batch.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = (self.bytes.len() - LENGTH_AT - 4) as i32;
        self.put(LENGTH_AT, &length.to_be_bytes());
        self.put(LAST_DELTA_AT, &(self.records - 1).to_be_bytes());
        let records = self.records;
        self.put(COUNT_AT, &records.to_be_bytes());
        let crc = crc32c::crc32c(&self.bytes[CHECKED_FROM..]);
        self.put(CRC_AT, &crc.to_be_bytes());
        self.bytes
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn text(&mut self, bytes: Option<&[u8]>) {
        self.varint(bytes.map_or(-1, |bytes| bytes.len() as i64));
        self.bytes.extend(bytes.unwrap_or_default());
    }

    fn varint(&mut self, number: i64) {
        let mut left = zigzag(number);
        while left >= 0x80 {
            self.bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        self.bytes.push(left as u8);
    }
}

/// Small numbers of either sign become small numbers.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn varint_len(number: i64) -> usize {
    let bits = 64 - zigzag(number).leading_zeros() as usize;
    bits.div_ceil(7).max(1)
}

fn bytes_len(bytes: Option<&[u8]>) -> usize {
    match bytes {
        None => 1,
        Some(bytes) => varint_len(bytes.len() as i64) + bytes.len(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use kafka_protocol::records::RecordBatchDecoder;

    use super::*;

    /// Key, value and headers.
    type Parts<'a> = (Option<&'a [u8]>, &'a [u8], &'a [Header<'a>]);

    #[test]
    fn what_is_written_is_read_by_another_implementation() {
        let long = vec![7; 70_000];
        let records: [Parts<'_>; 4] = [
            (Some(b"key"), b"value", &[("src", b"book-commands-3"), ("seq", b"17")]),
            (None, b"", &[]),
            (Some(b""), &long, &[("empty", b"")]),
            (Some(&long), &long[..63], &[("a", &long[..64]), ("b", &long[..65])]),
        ];
        let mut batch = Batch::new(1_700_000_000_123);
        for (key, value, headers) in records {
            let before = batch.len();
            batch.push(key, value, headers);
            assert!(batch.len() - before <= Batch::size_of(key, value, headers));
        }
        for number in 0..200_i32 {
            batch.push(None, &number.to_be_bytes(), &[]);
        }
        assert_eq!(batch.records, 204);
        let bytes = batch.finish();
        // Its checksum is looked at too.
        let mut encoded = Bytes::from(bytes);
        let decoded = RecordBatchDecoder::decode(&mut encoded).unwrap();
        assert!(encoded.is_empty());
        assert_eq!(decoded.records.len(), 204);
        for (offset, record) in decoded.records.iter().enumerate() {
            assert_eq!((record.offset, record.timestamp), (offset as i64, 1_700_000_000_123));
            assert_eq!(
                (record.producer_id, record.transactional, record.control),
                (-1, false, false)
            );
        }
        for ((key, value, headers), read) in records.iter().zip(&decoded.records) {
            assert_eq!(read.key.as_deref(), *key);
            assert_eq!(read.value.as_deref(), Some(*value));
            let read: Vec<_> = read
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_deref().unwrap()))
                .collect();
            assert_eq!(read, *headers);
        }
        assert_eq!(decoded.records[203].value.as_deref(), Some(&199_i32.to_be_bytes()[..]));
    }
}
