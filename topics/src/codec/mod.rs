//! Between messages and bytes: Avro in the Confluent wire format.
//!
//! A value is a zero byte, the id of the schema that it was written with, and the Avro datum.
//!
//! - Ids are looked up once, when a process starts: the subject of a topic is `<topic>-value`.
//!   Encoding and decoding never call the registry; they read a map that is swapped as a whole
//!   when an id is added, without a lock.
//! - A value is decoded with the schema of its *writer*, straight into the Rust type. There is no
//!   reader's schema: what the writer did not know gets its serde default, equal to the Avro one.
//! - Whether bytes are malformed follows from the bytes and the schema of the id in them, which
//!   never changes. An id that is not cached is [`DecodeError::UnknownSchema`]: the caller waits,
//!   calls [`Codec::resolve`] with back-off, and never skips the record.
//! - A process keeps what it has learnt in a file ([`Codec::of_process`]) and needs no registry to start
//!   again.
//! - A value whose schema is of another record than the topic's is malformed.
//! - A value has at most [`VALUE_BYTES_MAX`] bytes, all of which belong to the datum.

mod build;
mod error;
mod memory;
mod registry;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use brokerx_schemas::{AnyMessage, AvroSchema, DatumError, Message};
use schema_registry_converter::schema_registry_common::SchemaType;

use build::{Slot, TopicSchema, WriterSchema, schemas, slot_of};
pub use error::{CodecError, DecodeError};

pub(crate) use build::subject_of;
pub(crate) use registry::Registry;
pub(crate) use wire::split;

use memory::Memory;

use crate::service::{PlatformOptions, backoff};

/// Bytes of a value with its header: below the brokers' limit of a batch, 1 MiB.
pub const VALUE_BYTES_MAX: usize = 1_000_000;

/// How often [`Codec::decode_resolving`] asks for a schema before it gives the record back.
const RESOLVE_TRIES: u32 = 8;

/// Encodes and decodes the values of every topic. A clone is cheap and shares the cache.
#[derive(Clone, Debug)]
pub struct Codec {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// None for a codec that is detached.
    registry: Option<Registry>,
    /// What is kept for the next start.
    memory: Option<Memory>,
    /// The ids of this build's schemas, by slot.
    ids: Vec<u32>,
    /// What every other id that was met stands for; grows, never changes.
    others: ArcSwap<HashMap<u32, Arc<Other>>>,
}

/// What an id that is not the topic's own stands for.
#[derive(Debug)]
enum Other {
    /// A record: another version of a topic's, or another topic's.
    Record(WriterSchema),
    /// Not an Avro record.
    Unusable(String),
}

impl Codec {
    /// Looks up the ids of all schemas of this build; waits with back-off up to `limit` while the
    /// registry is away or does not have them yet.
    ///
    /// # Errors
    /// When the limit passes, with the last reason; at once when the address is unusable.
    pub async fn connect(platform: &PlatformOptions, limit: Duration) -> Result<Self, CodecError> {
        Self::connect_with(platform, None, limit).await
    }

    /// As [`Codec::connect`], for a process that runs for long: what it learns is kept in
    /// `BROKERX_SCHEMA_DIR`, if that is set, and when the registry is away at the next start what is known
    /// there will do.
    ///
    /// # Errors
    /// As [`Codec::connect`].
    pub async fn of_process(platform: &PlatformOptions, limit: Duration) -> Result<Self, CodecError> {
        let url = &platform.schema_registry_url;
        let memory = platform
            .schema_dir
            .as_ref()
            .map(|directory| Memory::open(directory, url));
        Self::connect_with(platform, memory, limit).await
    }

    async fn connect_with(
        platform: &PlatformOptions,
        memory: Option<Memory>,
        limit: Duration,
    ) -> Result<Self, CodecError> {
        let registry = Registry::new(platform)?;
        let started = Instant::now();
        let mut backoff = backoff();
        loop {
            let failure = match Self::look_up(&registry).await {
                Ok(ids) => {
                    if let Some(memory) = &memory {
                        let own = schemas().iter().zip(&ids);
                        memory.keep_own(own.map(|(schema, id)| (subject_of(schema.topic), *id, schema.json)));
                    }
                    return Ok(Self::with_ids(Some(registry), memory, ids));
                }
                Err(failure) => failure,
            };
            // A registry that answers, and knows better, is believed.
            if let CodecError::Registry { .. } = failure
                && let Some(ids) = memory.as_ref().and_then(Self::remembered)
            {
                tracing::warn!(reason = %failure, "the schema registry is away; starting with the schemas that are known");
                return Ok(Self::with_ids(Some(registry), memory, ids));
            }
            let pause = backoff.next();
            if started.elapsed() + pause > limit {
                return Err(failure);
            }
            tracing::warn!(reason = %failure, "waiting for the schema registry");
            tokio::time::sleep(pause).await;
        }
    }

    /// The ids of all schemas of this build, if each is known.
    fn remembered(memory: &Memory) -> Option<Vec<u32>> {
        let id_of = |schema: &TopicSchema| memory.id_of(&subject_of(schema.topic), schema.json);
        schemas().iter().map(id_of).collect()
    }

    async fn look_up(registry: &Registry) -> Result<Vec<u32>, CodecError> {
        let mut ids = Vec::with_capacity(schemas().len());
        for TopicSchema { topic, json, .. } in schemas() {
            let subject = subject_of(topic);
            let id = registry.id_of(&subject, json).await?;
            ids.push(id.ok_or(CodecError::NotRegistered { subject })?);
        }
        Ok(ids)
    }

    /// A codec that numbers this build's schemas itself, from 1 in the order of
    /// [`brokerx_schemas::SCHEMAS`]: for simulations, where bytes never leave the process. It
    /// resolves no other id.
    pub fn detached() -> Self {
        Self::with_ids(None, None, (1..=schemas().len() as u32).collect())
    }

    fn with_ids(registry: Option<Registry>, memory: Option<Memory>, ids: Vec<u32>) -> Self {
        // Parsed a second time, so that a schema of another topic can be told from one that nobody
        // knows.
        let mut others: HashMap<_, _> = schemas()
            .iter()
            .zip(&ids)
            .map(|(schema, id)| (*id, Arc::new(Other::of(Ok(schema.json)))))
            .collect();
        for (id, json) in memory.iter().flat_map(Memory::all) {
            others.entry(id).or_insert_with(|| Arc::new(Other::of(Ok(&json))));
        }
        Self {
            shared: Arc::new(Shared {
                registry,
                memory,
                ids,
                others: ArcSwap::from_pointee(others),
            }),
        }
    }

    /// The id under which values of a topic are written.
    ///
    /// # Panics
    /// When no message has that topic.
    pub fn schema_id(&self, topic: &str) -> u32 {
        self.shared.ids[slot_of(topic)]
    }

    /// Appends a message's bytes to `buffer`.
    ///
    /// # Errors
    /// When it does not fit its schema or is too large; `buffer` is then as it was.
    pub fn encode<M: Message>(&self, message: &M, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        self.encode_as(slot_of(M::TOPIC), buffer, |schema, buffer| {
            message.write_datum(schema, buffer)
        })
    }

    /// As [`Codec::encode`], for a message to any topic.
    ///
    /// # Errors
    /// When it does not fit its schema or is too large; `buffer` is then as it was.
    pub fn encode_any(&self, message: &AnyMessage, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        self.encode_as(slot_of(message.topic()), buffer, |schema, buffer| {
            message.write_datum(schema, buffer)
        })
    }

    fn encode_as(
        &self,
        slot: Slot,
        buffer: &mut Vec<u8>,
        write: impl FnOnce(&AvroSchema, &mut Vec<u8>) -> Result<(), DatumError>,
    ) -> Result<(), CodecError> {
        let start = buffer.len();
        let TopicSchema { topic, writer, .. } = &schemas()[slot];
        wire::write_header(self.shared.ids[slot], buffer);
        let encoded = write(&writer.schema, buffer);
        let bytes = buffer.len() - start;
        let checked = match encoded {
            Err(error) => Err(CodecError::Encode {
                topic,
                reason: error.to_string(),
            }),
            Ok(()) if bytes > VALUE_BYTES_MAX => Err(CodecError::TooLarge {
                topic,
                bytes,
                limit: VALUE_BYTES_MAX,
            }),
            Ok(()) => Ok(()),
        };
        if checked.is_err() {
            buffer.truncate(start);
        }
        checked
    }

    /// The message in a value of `M`'s topic. Never calls the registry.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`], or [`DecodeError::UnknownSchema`] when the id must be resolved first.
    pub fn decode<M: Message>(&self, bytes: &[u8]) -> Result<M, DecodeError> {
        if bytes.len() > VALUE_BYTES_MAX {
            return Err(DecodeError::Malformed(format!(
                "{} bytes, more than the limit of {VALUE_BYTES_MAX}",
                bytes.len()
            )));
        }
        let (id, datum) = wire::split(bytes)?;
        let slot = slot_of(M::TOPIC);
        let own = &schemas()[slot].writer;
        if id == self.shared.ids[slot] {
            return decode_datum(datum, own);
        }
        match self.shared.others.load().get(&id).map(Arc::as_ref) {
            None => Err(DecodeError::UnknownSchema(id)),
            Some(Other::Record(writer)) if writer.record_name == own.record_name => decode_datum(datum, writer),
            Some(Other::Record(writer)) => Err(DecodeError::Malformed(format!(
                "schema id {id} is of {}, not of {}",
                writer.record_name, own.record_name
            ))),
            Some(Other::Unusable(reason)) => Err(DecodeError::Malformed(format!("schema id {id}: {reason}"))),
        }
    }

    /// Whether an id that was resolved is of a record of another topic, so that nobody can use its values in this one.
    pub(crate) fn is_foreign(&self, topic: &str, schema_id: u32) -> bool {
        let own = schemas().iter().find(|schema| schema.topic == topic);
        match (own, self.shared.others.load().get(&schema_id).map(Arc::as_ref)) {
            (Some(own), Some(Other::Record(writer))) => writer.record_name != own.writer.record_name,
            _ => false,
        }
    }

    /// Asks the registry once for a schema id and caches the answer; does nothing when it is cached
    /// already.
    ///
    /// # Errors
    /// [`CodecError::NoSuchSchema`] when the registry denies the id, which may have been given to a schema
    /// this very moment; another when it is away. Either way the caller tries again with back-off.
    pub async fn resolve(&self, schema_id: u32) -> Result<(), CodecError> {
        if self.shared.others.load().contains_key(&schema_id) {
            return Ok(());
        }
        let denied = CodecError::NoSuchSchema { schema_id };
        let Some(registry) = &self.shared.registry else {
            return Err(denied);
        };
        let registered = registry.schema(schema_id).await?.ok_or(denied)?;
        let other = Arc::new(match registered.schema_type {
            SchemaType::Avro => {
                if let Some(memory) = &self.shared.memory {
                    memory.keep_other(schema_id, &registered.schema);
                }
                Other::of(Ok(&registered.schema))
            }
            kind => Other::of(Err(format!("{kind:?} instead of Avro"))),
        });
        self.shared.others.rcu(|others| {
            let mut others = HashMap::clone(others);
            others.insert(schema_id, Arc::clone(&other));
            others
        });
        Ok(())
    }

    /// Decodes, and resolves the schema with a few tries when it is not cached.
    ///
    /// # Errors
    /// As [`Codec::decode`]; [`DecodeError::UnknownSchema`] when the registry did not give the
    /// schema in 8 tries (some 5 s), [`DecodeError::DeniedSchema`] when it denied it in each of them: the
    /// caller keeps the record and calls again.
    pub async fn decode_resolving<M: Message>(&self, bytes: &[u8]) -> Result<M, DecodeError> {
        let mut backoff = backoff();
        let (mut tries, mut denials) = (0, 0);
        loop {
            let id = match self.decode(bytes) {
                Err(DecodeError::UnknownSchema(id)) => id,
                decided => return decided,
            };
            if let Err(failure) = self.resolve(id).await {
                tries += 1;
                denials += u32::from(matches!(failure, CodecError::NoSuchSchema { .. }));
                if tries == RESOLVE_TRIES {
                    return Err(match denials {
                        RESOLVE_TRIES => DecodeError::DeniedSchema(id),
                        _ => DecodeError::UnknownSchema(id),
                    });
                }
                tracing::warn!(topic = M::TOPIC, schema_id = id, reason = %failure, "waiting for a schema");
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

impl Other {
    fn of(json: Result<&str, String>) -> Self {
        match json.and_then(WriterSchema::parse) {
            Ok(writer) => Self::Record(writer),
            Err(reason) => Self::Unusable(reason),
        }
    }
}

fn decode_datum<M: Message>(datum: &[u8], writer: &WriterSchema) -> Result<M, DecodeError> {
    M::read_datum(datum, &writer.schema)
        .map_err(|error| DecodeError::Malformed(format!("not a {}: {error}", writer.record_name)))
}
