#!/usr/bin/env bash
# kafka-protocol (Rust) 0.18.0: of headers with the same name, a decoded record has only the last one.
#
# One would guess: a record comes out with the headers that were written. In Kafka a name may stand in a
# record any number of times, in an order that counts: Java's `Headers.add` appends, `Headers.headers(name)`
# gives all of them, and tools that trace or route a record on its way rely on it.
# What happens: `Record::headers` is a map by name. A batch that kafka-python 2.2.15 wrote with the headers
# hop=a, hop=b, id=1, hop=c is decoded without an error, and without the first two. Seen:
#   written   hop=a hop=b id=1 hop=c
#   decoded   hop=c id=1
# The map keeps the place of the first and the value of the last; what is encoded again (by a proxy, a
# mirror, a filter, which is what the crate is made for) is another record than the one that came, and a
# digest or signature over the headers no longer fits.
# What follows: who must see all headers, or hand a record on as it is, parses the records of a batch
# otherwise, or hands on the batch's bytes undecoded (`RecordBatchDecoder::decode_batch_info`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip --quiet --disable-pip-version-check install kafka-python==2.2.15
env/bin/python - <<'PYTHON'
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

headers = [("hop", b"a"), ("hop", b"b"), ("id", b"1"), ("hop", b"c")]
builder = DefaultRecordBatchBuilder(
    magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=4096
)
builder.append(0, 1_700_000_000_000, b"key", b"value", headers)
batch = bytes(builder.build())
with open("batch", "wb") as file:
    file.write(batch)
# The writer's own reader gives back all four.
print("written  ", *(f"{name}={value.decode()}" for name, value in next(DefaultRecordBatch(batch)).headers))
PYTHON
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "repeated-headers"
version = "0.0.0"
edition = "2021"

[dependencies]
bytes = "=1.10.1"
kafka-protocol = { version = "=0.18.0", default-features = false, features = ["client"] }
TOML
cat > src/main.rs <<'RUST'
use kafka_protocol::records::RecordBatchDecoder;

fn main() {
    let mut batch = bytes::Bytes::from(std::fs::read("batch").unwrap());
    let set = RecordBatchDecoder::decode(&mut batch).unwrap();
    print!("decoded  ");
    for (name, value) in &set.records[0].headers {
        print!(" {}={}", &**name, String::from_utf8_lossy(value.as_ref().unwrap()));
    }
    println!();
}
RUST
cargo run --quiet > seen
cat seen
grep -qx 'decoded   hop=c id=1' seen || { echo "what is decoded is another now" >&2; exit 1; }
