//! A snapshot file.
//!
//! ```text
//! "BRXSNAP1" | header: u32 length, JSON | slice: u32 length, bytes | slice ... | xxh3-64 of all before
//! ```
//!
//! Numbers are little-endian. The header is JSON, so that an operator can read position, machine
//! time, configuration and edges with a pager. The checksum finds a damaged file; the state hash in
//! the header finds a state that does not come back as it was.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::machine::{Fold, FoldState, Machine, SnapshotError};

/// Names the format and its version.
const MAGIC: &[u8; 8] = b"BRXSNAP1";

#[derive(Serialize, Deserialize)]
struct Header {
    machine: String,
    leader_epoch: i32,
    fold: FoldState,
}

/// Makes the bytes of a snapshot file.
#[derive(Debug)]
pub struct SnapshotEncoder {
    bytes: Vec<u8>,
}

impl SnapshotEncoder {
    /// Begins a file with everything but the machine's slices. `leader_epoch` is that of the
    /// record at `position - 1`.
    ///
    /// # Errors
    /// When the state cannot be encoded.
    pub fn new(machine: &str, leader_epoch: i32, fold: FoldState) -> Result<Self, SnapshotError> {
        let header = Header {
            machine: machine.to_owned(),
            leader_epoch,
            fold,
        };
        let header = serde_json::to_vec(&header).map_err(|error| SnapshotError::Encode(error.to_string()))?;
        let mut encoder = Self { bytes: MAGIC.to_vec() };
        encoder.part(&header)?;
        Ok(encoder)
    }

    /// Adds the next slice.
    ///
    /// # Errors
    /// When it is larger than 4 GiB.
    pub fn slice(&mut self, slice: &[u8]) -> Result<(), SnapshotError> {
        self.part(slice)
    }

    fn part(&mut self, part: &[u8]) -> Result<(), SnapshotError> {
        let length = u32::try_from(part.len()).map_err(|_| SnapshotError::Encode("a slice over 4 GiB".to_owned()))?;
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(part);
        Ok(())
    }

    /// The whole file.
    pub fn finish(mut self) -> Vec<u8> {
        let checksum = xxh3_64(&self.bytes);
        self.bytes.extend_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}

/// A snapshot file, checked.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// The machine's name.
    pub machine: String,
    /// The leader epoch of the record at `position - 1`.
    pub leader_epoch: i32,
    /// Place, time and edges.
    pub fold: FoldState,
    /// The machine's state.
    pub slices: Vec<&'a [u8]>,
}

impl<'a> Snapshot<'a> {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is damaged or of another format.
    pub fn decode(file: &'a [u8]) -> Result<Self, SnapshotError> {
        let damaged = |what: &str| SnapshotError::Decode(what.to_owned());
        let (body, checksum) = file.split_last_chunk().ok_or_else(|| damaged("too short"))?;
        let mut rest = body
            .strip_prefix(MAGIC)
            .ok_or_else(|| damaged("not a snapshot of this format"))?;
        if xxh3_64(body) != u64::from_le_bytes(*checksum) {
            return Err(damaged("the checksum does not agree"));
        }
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk().ok_or_else(|| damaged("cut in a length"))?;
            let length = u32::from_le_bytes(*length) as usize;
            let (part, behind) = behind
                .split_at_checked(length)
                .ok_or_else(|| damaged("cut in a slice"))?;
            parts.push(part);
            rest = behind;
        }
        let mut parts = parts.into_iter();
        let header = parts.next().ok_or_else(|| damaged("no header"))?;
        let Header {
            machine,
            leader_epoch,
            fold,
        } = serde_json::from_slice(header).map_err(|error| SnapshotError::Decode(error.to_string()))?;
        Ok(Self {
            machine,
            leader_epoch,
            fold,
            slices: parts.collect(),
        })
    }

    /// The fold that the snapshot was taken of. `beat` is called with each slice.
    ///
    /// # Errors
    /// When it is of another machine or partition, or the state does not come back as it was.
    pub fn restore<M: Machine>(self, partition: i32, beat: impl Fn()) -> Result<Fold<M>, SnapshotError> {
        if self.machine != M::NAME {
            return Err(SnapshotError::Mismatch(format!(
                "of {}, not of {}",
                self.machine,
                M::NAME
            )));
        }
        Fold::restore(self.fold, partition, self.slices.into_iter().inspect(|_| beat()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use brokerx_schemas::Config;

    use super::*;
    use crate::machine::{Edges, Setup};

    fn state() -> FoldState {
        let mut edges = Edges::default();
        edges.next_seq("trades", 3);
        FoldState {
            setup: Setup {
                log_id: "log".to_owned(),
                partition: 3,
                generation: 0,
                logic_version: 1,
                config_version: 1,
                config: Config::default(),
                topics: vec![("trades".to_owned(), 8)],
            },
            position: 1 << 40,
            now_ms: 1,
            last_tick_second: 2,
            edges,
            log_hash: u128::MAX,
            last_digest: u128::MAX - 1,
            state_hash: u64::MAX,
        }
    }

    fn file() -> Vec<u8> {
        let mut encoder = SnapshotEncoder::new("matcher", 5, state()).unwrap();
        encoder.slice(b"one").unwrap();
        encoder.slice(b"").unwrap();
        encoder.finish()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let file = file();
        let snapshot = Snapshot::decode(&file).unwrap();
        assert_eq!(snapshot.machine, "matcher");
        assert_eq!(snapshot.leader_epoch, 5);
        assert_eq!(snapshot.fold, state());
        assert_eq!(snapshot.slices, [&b"one"[..], b""]);
    }

    #[test]
    fn every_damaged_byte_and_every_cut_is_found() {
        let file = file();
        for index in 0..file.len() {
            let mut damaged = file.clone();
            damaged[index] ^= 1;
            Snapshot::decode(&damaged).expect_err("a flipped bit");
            Snapshot::decode(&file[..index]).expect_err("a cut file");
        }
    }
}
