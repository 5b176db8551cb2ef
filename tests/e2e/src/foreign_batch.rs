//! Writes under the id of somebody else's producer: from then on the broker expects other numbers of that producer
//! than it gives, and what it sends next fails for good.
//!
//! No client does this, so the batch and the request are put together here, as Kafka's protocol has them. Who wrote a
//! record is read from the broker's own files, which hold the batches as they were sent.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

const LIMIT: Duration = Duration::from_secs(10);
/// Bytes of a batch before its records.
const HEADER_BYTES: usize = 61;
/// Bytes of a batch that its length does not count.
const UNCOUNTED_BYTES: usize = 12;

/// A producer, and the last number that it has given in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer {
    id: i64,
    epoch: i16,
    last_sequence: i32,
}

/// Who wrote the record at an offset, with the last number of that producer in the whole partition. `folder` is the
/// broker's, of this partition.
///
/// # Errors
/// When the record is not there or an idempotent producer did not write it.
pub fn writer_of(folder: &Path, offset: i64) -> anyhow::Result<Writer> {
    let mut batches = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            batches.extend(batches_in(&fs::read(path)?));
        }
    }
    batches.sort_by_key(|batch| batch.offset);
    let holds = |batch: &&Batch| (batch.offset..=batch.offset + i64::from(batch.last_delta)).contains(&offset);
    let written = batches.iter().find(holds).context("no batch holds the record")?;
    ensure!(written.id >= 0, "no idempotent producer wrote the record");
    let of_writer = |batch: &&Batch| (batch.id, batch.epoch) == (written.id, written.epoch);
    let last = batches.iter().rfind(of_writer).unwrap_or(written);
    Ok(Writer {
        id: last.id,
        epoch: last.epoch,
        last_sequence: last.sequence + last.last_delta,
    })
}

struct Batch {
    offset: i64,
    last_delta: i32,
    id: i64,
    epoch: i16,
    sequence: i32,
}

/// The batches in a segment, up to one that is being written.
fn batches_in(segment: &[u8]) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut rest = segment;
    while let Some(header) = rest.get(..HEADER_BYTES) {
        let length = UNCOUNTED_BYTES + i32_at(header, 8) as usize;
        batches.push(Batch {
            offset: i64_at(header, 0),
            last_delta: i32_at(header, 23),
            id: i64_at(header, 43),
            epoch: i16::from_be_bytes([header[51], header[52]]),
            sequence: i32_at(header, 53),
        });
        rest = rest.get(length..).unwrap_or_default();
    }
    batches
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    bytes[at..at + 4]
        .iter()
        .fold(0, |value, byte| value << 8 | i32::from(*byte))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    bytes[at..at + 8]
        .iter()
        .fold(0, |value, byte| value << 8 | i64::from(*byte))
}

/// Appends records with these values, without a key, as if `writer` had sent them next.
///
/// # Errors
/// When the broker does not take them.
pub fn append_as(writer: Writer, broker: &str, topic: &str, partition: i32, values: &[&[u8]]) -> anyhow::Result<()> {
    let batch = batch(writer, values);
    let mut body = Vec::new();
    // Produce, version 7: no transaction, acknowledged by all in sync.
    body.extend(0_i16.to_be_bytes());
    body.extend(7_i16.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    text(&mut body, "trial");
    body.extend((-1_i16).to_be_bytes());
    body.extend((-1_i16).to_be_bytes());
    body.extend((LIMIT.as_millis() as i32).to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    text(&mut body, topic);
    body.extend(1_i32.to_be_bytes());
    body.extend(partition.to_be_bytes());
    body.extend((batch.len() as i32).to_be_bytes());
    body.extend(batch);

    let mut stream = TcpStream::connect(broker)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(&(body.len() as i32).to_be_bytes())?;
    stream.write_all(&body)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; i32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    // Behind the number of the request: one topic with its name, one partition with its number, the error.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    let error = answer.get(at..at + 2).context("a short answer")?;
    ensure!(error == [0, 0], "the broker refuses the batch with error {error:?}");
    Ok(())
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as i16).to_be_bytes());
    body.extend(text.as_bytes());
}

fn batch(writer: Writer, values: &[&[u8]]) -> Vec<u8> {
    let mut checked = Vec::new();
    // Neither compressed nor of a transaction; the last record's place, the times, who wrote it.
    checked.extend(0_i16.to_be_bytes());
    checked.extend((values.len() as i32 - 1).to_be_bytes());
    checked.extend(0_i64.to_be_bytes());
    checked.extend(0_i64.to_be_bytes());
    checked.extend(writer.id.to_be_bytes());
    checked.extend(writer.epoch.to_be_bytes());
    checked.extend((writer.last_sequence + 1).to_be_bytes());
    checked.extend((values.len() as i32).to_be_bytes());
    for (number, value) in values.iter().enumerate() {
        let mut record = vec![0];
        varint(&mut record, 0);
        varint(&mut record, number as i32);
        varint(&mut record, -1);
        varint(&mut record, value.len() as i32);
        record.extend(*value);
        varint(&mut record, 0);
        varint(&mut checked, record.len() as i32);
        checked.extend(record);
    }
    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes());
    // What follows: leader epoch, magic, checksum and what it is of.
    batch.extend((4 + 1 + 4 + checked.len() as i32).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

fn varint(bytes: &mut Vec<u8>, value: i32) {
    let mut left = ((value << 1) ^ (value >> 31)) as u32;
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
}

/// CRC-32C (Castagnoli).
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg());
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        let writer = Writer {
            id: 4_711,
            epoch: 3,
            last_sequence: 41,
        };
        let mut segment = batch(writer, &[b"a", b"b"]);
        segment.extend_from_slice(&segment.clone()[..HEADER_BYTES / 2]);
        let batches = batches_in(&segment);
        assert_eq!(batches.len(), 1, "the second one is not whole");
        let found = &batches[0];
        assert_eq!((found.offset, found.last_delta), (0, 1));
        assert_eq!((found.id, found.epoch, found.sequence), (4_711, 3, 42));
    }
}
