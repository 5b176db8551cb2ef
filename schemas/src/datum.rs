//! Between a message and its Avro datum.
//!
//! What serde makes of a message for Avro is a lot of code, and generic: it would be compiled again in
//! each crate that encodes or decodes it, and was two fifths of the work of compiling `topics`. So each
//! message has functions of its own ([`Message::write_datum`](crate::Message::write_datum),
//! [`Message::read_datum`](crate::Message::read_datum)), which are compiled here, once.

use std::io::Read;

use serde::{Serialize, de::DeserializeOwned};
pub use serde_avro_fast::Schema as AvroSchema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};
use serde_avro_fast::ser::SerializerConfig;

/// Why a message does not fit a schema, or bytes are no datum of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DatumError(String);

/// Appends a message's datum; after an error, part of it.
pub(crate) fn write(message: &impl Serialize, schema: &AvroSchema, buffer: &mut Vec<u8>) -> Result<(), DatumError> {
    let written = serde_avro_fast::to_datum(message, buffer, &mut SerializerConfig::new(schema));
    written.map(|_| ()).map_err(|error| DatumError(error.to_string()))
}

/// The message in a datum, to which all bytes belong.
pub(crate) fn read<M: DeserializeOwned>(datum: &[u8], writer: &AvroSchema) -> Result<M, DatumError> {
    let mut config = DeserializerConfig::new(writer);
    // No element takes less than a byte, so no honest sequence is longer than the datum.
    config.max_seq_size = datum.len();
    let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
    let message = M::deserialize(state.deserializer()).map_err(|error| DatumError(error.to_string()))?;
    match state.into_reader().read(&mut [0; 1]) {
        Ok(0) => Ok(message),
        _ => Err(DatumError("bytes are left behind the datum".to_owned())),
    }
}
