#!/usr/bin/env bash
# kafka-protocol (Rust) 0.18.0: records of a producer that is not idempotent are encoded as a batch each.
#
# One would guess: records with offsets 0, 1, 2 and the crate's own `NO_SEQUENCE`, as a producer without
# idempotence has them, become one batch of three records, as with every other client.
# What happens: `RecordBatchEncoder` puts records into one batch as long as the difference of offset and
# sequence stays the same. Without a sequence (-1 for all) it never does. Seen:
#   offsets 0 1 2, NO_SEQUENCE        3 batches, of 1 1 1 records
#   offsets 0 1 2, sequences 0 1 2    1 batch, of 3 records
#   offsets 0 0 0, NO_SEQUENCE        1 batch, of 3 records, all decoded with offset 0
# A batch has a header of 61 bytes, so small records become several times as large, and since version 3 of
# the produce request a partition's data is one batch: Kafka's protocol guide says so, and a broker checks it.
# What follows: a producer on this crate sets the sequence to the offset, also where no producer id
# stands beside it, or encodes the batch by itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "batches-without-sequence"
version = "0.0.0"
edition = "2021"

[dependencies]
bytes = "=1.10.1"
kafka-protocol = { version = "=0.18.0", default-features = false, features = ["client"] }
TOML
cat > src/main.rs <<'RUST'
use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
    NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
};

fn record(offset: i64, sequence: i32) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence,
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some(Bytes::from_static(b"value")),
        headers: Default::default(),
    }
}

fn main() {
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    for numbers in [
        [(0, NO_SEQUENCE), (1, NO_SEQUENCE), (2, NO_SEQUENCE)],
        [(0, 0), (1, 1), (2, 2)],
        [(0, NO_SEQUENCE), (0, NO_SEQUENCE), (0, NO_SEQUENCE)],
    ] {
        let records = numbers.map(|(offset, sequence)| record(offset, sequence));
        let mut encoded = BytesMut::new();
        RecordBatchEncoder::encode(&mut encoded, &records, &options).unwrap();
        let sets = RecordBatchDecoder::decode_all(&mut encoded.freeze()).unwrap();
        let offsets = |set: &kafka_protocol::records::RecordSet| {
            set.records.iter().map(|record| record.offset).collect::<Vec<_>>()
        };
        println!("{numbers:?}: {:?}", sets.iter().map(offsets).collect::<Vec<_>>());
    }
}
RUST
cargo run --quiet > seen
cat seen
diff seen - <<'SEEN' || { echo "batches are made otherwise now" >&2; exit 1; }
[(0, -1), (1, -1), (2, -1)]: [[0], [1], [2]]
[(0, 0), (1, 1), (2, 2)]: [[0, 1, 2]]
[(0, -1), (0, -1), (0, -1)]: [[0, 0, 0]]
SEEN
