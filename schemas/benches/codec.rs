//! What encoding and decoding cost, printed: `cargo bench -p brokerx-schemas`.
//!
//! Both libraries do the same work on the same examples in one run; the ratio is the figure that
//! holds on another machine.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Instant;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use brokerx_schemas::{AccountCommand, AccountEvent, Message};

fn main() {
    println!(
        "{:<32} {:>6} {:>16} {:>16} {:>22}",
        "message", "bytes", "encode", "decode", "apache-avro"
    );
    measure::<AccountCommand>("place_order");
    measure::<AccountCommand>("fill");
    measure::<AccountEvent>("order_accepted");
    measure::<AccountEvent>("order_executed");
}

fn measure<M: Message>(name: &str) {
    let topic = support::topic(M::TOPIC);
    let example = topic
        .examples()
        .into_iter()
        .find(|example| example.name == name)
        .unwrap();
    let message = M::read_datum(&example.bytes, &topic.fast).unwrap();

    let mut buffer = Vec::with_capacity(1024);
    let encode_ns = median_ns(|| {
        buffer.clear();
        black_box(&message).write_datum(&topic.fast, &mut buffer).unwrap();
        black_box(&buffer);
    });
    let decode_ns = median_ns(|| {
        black_box(M::read_datum(black_box(&example.bytes), &topic.fast).unwrap());
    });

    // The reference library reads and writes by our schemas only through its generic value.
    let writer = GenericDatumWriter::builder(&topic.schema).build().unwrap();
    let reader = GenericDatumReader::builder(&topic.schema).build().unwrap();
    let generic_encode_ns = median_ns(|| {
        buffer.clear();
        writer.write_value_ref(&mut buffer, black_box(&example.value)).unwrap();
    });
    let generic_decode_ns = median_ns(|| {
        black_box(reader.read_value(&mut black_box(example.bytes.as_slice())).unwrap());
    });
    println!(
        "{:<32} {:>6} {encode_ns:>13} ns {decode_ns:>13} ns {generic_encode_ns:>8} + {generic_decode_ns:>8} ns",
        example.id,
        example.bytes.len()
    );
}

/// The median over rounds of the mean time of one call, in nanoseconds.
fn median_ns(mut work: impl FnMut()) -> u128 {
    const CALLS: u128 = 10_000;
    let mut rounds: Vec<u128> = (0..31)
        .map(|_| {
            let start = Instant::now();
            (0..CALLS).for_each(|_| work());
            start.elapsed().as_nanos() / CALLS
        })
        .collect();
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}
