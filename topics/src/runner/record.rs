//! From bytes in the log to a record that a fold applies.
//!
//! Whether a record is malformed follows from its bytes alone, so every replay judges alike.

use brokerx_schemas::{DeadLetter, DeadLetterHeader, InboxMessage, UnusableRecord};
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers};
use xxhash_rust::xxh3::xxh3_128;

use super::native::RecordHeaders;
use crate::codec::{Codec, DecodeError};
use crate::headers::{Trace, claimed_source, identity_of, trace_of};
use crate::hexadecimal::hexadecimal;
use crate::machine::{Content, Identity, Record};

/// What a dead letter keeps of key, value and all headers, in bytes each: hexadecimal doubles it,
/// and the whole must fit a Kafka message. The record itself stays in the inbox.
const DEAD_LETTER_BYTES_MAX: usize = 128 * 1024;

/// A record names a schema that is not cached; the codec must resolve it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownSchema {
    /// Its id.
    pub schema_id: u32,
    /// Whether no worker wrote the record, so that it may go to the dead letters.
    pub is_of_client: bool,
    /// Whether it is the schema of a decision about the record, not its own.
    pub is_of_decision: bool,
}

/// Reads records; reuses one buffer.
#[derive(Debug, Default)]
pub struct RecordReader {
    framed: Vec<u8>,
}

/// A record as it stands in the log.
struct Raw<'a, H> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    appended_ms: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: Option<&'a H>,
    /// The headers cannot be told apart.
    broken_headers: bool,
}

impl RecordReader {
    /// Decodes a consumed record.
    ///
    /// # Errors
    /// When its schema must be resolved first; nothing else is an error, a malformed record is a record.
    pub fn read<I: InboxMessage>(
        &mut self,
        codec: &Codec,
        message: &BorrowedMessage<'_>,
    ) -> Result<Record<I>, UnknownSchema> {
        with_raw(message, |raw| self.read_raw(codec, raw))
    }

    /// A consumed record that everybody passes, for a reason, whatever its bytes are.
    pub fn passed<I: InboxMessage>(&mut self, message: &BorrowedMessage<'_>, reason: &str) -> Record<I> {
        with_raw(message, |raw| Record {
            offset: raw.offset,
            appended_ms: raw.appended_ms,
            identity: identity_of(raw.headers).unwrap_or_else(|_| claimed_identity(raw.headers)),
            digest: self.digest_raw(raw),
            input: Content::Passed(Box::new(dead_letter(raw, reason.to_owned()))),
        })
    }

    /// The digest of key, value and headers of a consumed record.
    pub fn digest(&mut self, message: &BorrowedMessage<'_>) -> u128 {
        with_raw(message, |raw| self.digest_raw(raw))
    }

    fn read_raw<I: InboxMessage>(
        &mut self,
        codec: &Codec,
        raw: &Raw<'_, impl Headers>,
    ) -> Result<Record<I>, UnknownSchema> {
        let malformed = |reason: String| Content::Malformed(Box::new(dead_letter(raw, reason)));
        let (identity, input) = match identity_of(raw.headers) {
            // A worker's record whose number cannot be read must stop the partition, a client's must not.
            Err(error) => (claimed_identity(raw.headers), malformed(error.to_string())),
            Ok(identity) if raw.broken_headers => (identity, malformed("its headers cannot be read".to_owned())),
            Ok(identity) => {
                let input = match raw.value.map(|value| codec.decode::<I>(value)) {
                    Some(Ok(input)) => Content::Decoded(input),
                    Some(Err(DecodeError::UnknownSchema(schema_id) | DecodeError::DeniedSchema(schema_id))) => {
                        return Err(UnknownSchema {
                            schema_id,
                            is_of_client: identity.is_none(),
                            is_of_decision: false,
                        });
                    }
                    Some(Err(DecodeError::Malformed(reason))) => malformed(reason),
                    None => malformed("it has no value".to_owned()),
                };
                (identity, input)
            }
        };
        Ok(Record {
            offset: raw.offset,
            appended_ms: raw.appended_ms,
            identity,
            digest: self.digest_raw(raw),
            input,
        })
    }

    /// Lengths are hashed with the parts, so that no two different records are framed alike.
    fn digest_raw(&mut self, raw: &Raw<'_, impl Headers>) -> u128 {
        self.framed.clear();
        self.frame(raw.key);
        self.frame(raw.value);
        for header in raw.headers.iter().flat_map(|headers| headers.iter()) {
            self.frame(Some(header.key.as_bytes()));
            self.frame(header.value);
        }
        xxh3_128(&self.framed)
    }

    fn frame(&mut self, part: Option<&[u8]>) {
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        self.framed.extend_from_slice(&length.to_le_bytes());
        self.framed.extend_from_slice(part.unwrap_or_default());
    }
}

/// What the effects of a consumed record belong to.
pub fn trace(message: &BorrowedMessage<'_>) -> Trace {
    RecordHeaders::of(message)
        .map(|headers| trace_of(headers.as_ref()))
        .unwrap_or_default()
}

fn with_raw<T>(message: &BorrowedMessage<'_>, then: impl FnOnce(&Raw<'_, RecordHeaders<'_>>) -> T) -> T {
    let headers = RecordHeaders::of(message);
    then(&Raw {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        // A record without a time leaves machine time where it is.
        appended_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key(),
        value: message.payload(),
        broken_headers: headers.is_err(),
        headers: headers.as_ref().ok().and_then(Option::as_ref),
    })
}

/// The worker that a record with unreadable identity headers claims to be from.
fn claimed_identity(headers: Option<&impl Headers>) -> Option<Identity> {
    let source = claimed_source(headers)?;
    Some(Identity {
        source: String::from_utf8_lossy(source).into_owned(),
        seq: 0,
    })
}

fn dead_letter(raw: &Raw<'_, impl Headers>, mut reason: String) -> DeadLetter {
    let mut cut = false;
    let mut hex = |bytes: &[u8]| {
        cut |= bytes.len() > DEAD_LETTER_BYTES_MAX;
        hexadecimal(&bytes[..bytes.len().min(DEAD_LETTER_BYTES_MAX)])
    };
    let key_hex = raw.key.map(&mut hex);
    let value_hex = raw.value.map(&mut hex);
    let mut left = DEAD_LETTER_BYTES_MAX;
    let mut headers = Vec::new();
    for header in raw.headers.iter().flat_map(|headers| headers.iter()) {
        let value = header.value.unwrap_or_default();
        match left.checked_sub(header.key.len() + value.len()) {
            Some(rest) => left = rest,
            None => {
                cut = true;
                break;
            }
        }
        headers.push(DeadLetterHeader {
            name: header.key.to_owned(),
            value: String::from_utf8_lossy(value).into_owned(),
        });
    }
    if cut {
        reason.push_str("; cut here, whole in its topic");
    }
    DeadLetter::UnusableRecord(UnusableRecord {
        topic: raw.topic.to_owned(),
        partition: raw.partition,
        offset: raw.offset,
        reason,
        key_hex,
        value_hex,
        headers,
        appended_ms: raw.appended_ms,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use brokerx_schemas::{BookCommand, Tick};
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;
    use crate::headers::worker_headers;

    fn raw<'a>(value: Option<&'a [u8]>, headers: Option<&'a OwnedHeaders>) -> Raw<'a, OwnedHeaders> {
        Raw {
            topic: "book-commands",
            partition: 3,
            offset: 42,
            appended_ms: 1_000,
            key: Some(b"AAPL"),
            value,
            headers,
            broken_headers: false,
        }
    }

    fn header(name: &str, value: &str) -> OwnedHeaders {
        OwnedHeaders::new().insert(Header {
            key: name,
            value: Some(value),
        })
    }

    fn read(raw: &Raw<'_, OwnedHeaders>) -> Result<Record<BookCommand>, UnknownSchema> {
        RecordReader::default().read_raw(&Codec::detached(), raw)
    }

    fn reason(content: &Content<BookCommand>) -> &UnusableRecord {
        match content {
            Content::Malformed(letter) => match letter.as_ref() {
                DeadLetter::UnusableRecord(record) => record,
                DeadLetter::Unknown => panic!("a dead letter has a kind"),
            },
            other => panic!("it is {other:?}"),
        }
    }

    fn tick() -> Vec<u8> {
        let mut value = Vec::new();
        let tick = BookCommand::Tick(Tick { second: 7 });
        Codec::detached().encode(&tick, &mut value).unwrap();
        value
    }

    #[test]
    fn a_worker_s_record_has_identity_and_content() {
        let value = tick();
        let headers = worker_headers("account-commands-1", 9, 5, &Trace::default());
        let record = read(&raw(Some(&value), Some(&headers))).unwrap();
        assert_eq!((record.offset, record.appended_ms), (42, 1_000));
        assert_eq!(record.identity.unwrap().seq, 9);
        assert!(matches!(
            record.input,
            Content::Decoded(BookCommand::Tick(Tick { second: 7 }))
        ));
    }

    #[test]
    fn a_client_s_bad_bytes_become_a_dead_letter() {
        let record = read(&raw(Some(b"\x07nonsense"), None)).unwrap();
        assert_eq!(record.identity, None);
        let letter = reason(&record.input);
        assert_eq!(letter.key_hex.as_deref(), Some("4141504c"));
        assert_eq!(letter.value_hex.as_deref(), Some("076e6f6e73656e7365"));
        assert_eq!((letter.partition, letter.offset), (3, 42));
        assert_eq!(reason(&read(&raw(None, None)).unwrap().input).reason, "it has no value");
    }

    #[test]
    fn an_unreadable_identity_is_a_worker_s_only_when_it_names_a_source() {
        let value = tick();
        let half = header("src", "account-commands-1");
        let record = read(&raw(Some(&value), Some(&half))).unwrap();
        assert_eq!(record.identity.unwrap().source, "account-commands-1");
        reason(&record.input);
        let half = header("seq", "1");
        let record = read(&raw(Some(&value), Some(&half))).unwrap();
        assert_eq!(record.identity, None);
        reason(&record.input);
    }

    #[test]
    fn an_unknown_schema_is_no_verdict() {
        let worker = worker_headers("account-commands-1", 9, 5, &Trace::default());
        for (headers, is_of_client) in [(None, true), (Some(&worker), false)] {
            let error = read(&raw(Some(b"\0\0\x01\0\0\0"), headers)).unwrap_err();
            let expected = UnknownSchema {
                schema_id: 65_536,
                is_of_client,
                is_of_decision: false,
            };
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_dead_letter_fits_a_message() {
        let value = vec![7; 1_000_000];
        let headers = header("x", &"y".repeat(DEAD_LETTER_BYTES_MAX));
        let record = read(&raw(Some(&value), Some(&headers))).unwrap();
        let letter = reason(&record.input).clone();
        assert!(letter.reason.ends_with("whole in its topic"), "{}", letter.reason);
        assert!(letter.headers.is_empty());
        let mut bytes = Vec::new();
        let letter = DeadLetter::UnusableRecord(letter);
        Codec::detached().encode(&letter, &mut bytes).unwrap();
    }

    #[test]
    fn the_digest_tells_key_value_and_headers_apart() {
        let (one, other) = (header("a", "bc"), header("ab", "c"));
        let raws = [
            raw(Some(b"v"), None),
            raw(Some(b""), None),
            raw(None, None),
            raw(Some(b"v"), Some(&one)),
            raw(Some(b"v"), Some(&other)),
        ];
        let digests: std::collections::BTreeSet<_> =
            raws.iter().map(|raw| RecordReader::default().digest_raw(raw)).collect();
        assert_eq!(digests.len(), raws.len());
    }
}
