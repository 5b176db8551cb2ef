//! The Confluent wire format: a zero byte, the schema id (big endian), the Avro datum.

use super::error::DecodeError;

const MAGIC: u8 = 0;

/// Bytes before the datum.
pub(super) const HEADER_BYTES: usize = 5;

/// Appends the header of a value.
pub(super) fn write_header(schema_id: u32, buffer: &mut Vec<u8>) {
    buffer.push(MAGIC);
    buffer.extend_from_slice(&schema_id.to_be_bytes());
}

/// The schema id and the datum of a value.
pub(crate) fn split(bytes: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    let Some((header, datum)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(DecodeError::Malformed(format!(
            "{} bytes are too few for a schema id",
            bytes.len()
        )));
    };
    let [magic, a, b, c, d] = *header;
    if magic != MAGIC {
        return Err(DecodeError::Malformed(format!(
            "the first byte is {magic:#04x}, not 0x00: not in the registry's wire format"
        )));
    }
    Ok((u32::from_be_bytes([a, b, c, d]), datum))
}
