//! What the records of `passed-offsets` say together.
//!
//! Pure: who has the same records and knows the same schemas takes the same view of every offset.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use brokerx_schemas::{Message, Passage, PassedOffset};

use crate::codec::DecodeError;

/// Topic, partition and offset.
type Place = (String, i32, i64);

/// What is decided about an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nothing: its record is used, if it can be.
    Use,
    /// Everybody passes it.
    Passed(Arc<PassedOffset>),
    /// That is not known: a decision about it names a schema that the registry denies. Its record waits.
    Undecided {
        /// The decision's offset in `passed-offsets`.
        decision: i64,
        /// The schema.
        schema_id: u32,
    },
}

/// A record of `passed-offsets` as it stands in the log.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) offset: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
}

/// The decisions, and what could not be read of them.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    passed: HashMap<Place, Arc<PassedOffset>>,
    /// The offsets whose decision names a schema that is not known: the decision, and that schema.
    undecided: HashMap<Place, (i64, u32)>,
    /// Records of `passed-offsets` that decide nothing, and why; but those that are passed themselves.
    pub(super) unreadable: BTreeMap<i64, String>,
    /// Schemas that must be known to read the rest.
    pub(super) unknown_schemas: BTreeSet<u32>,
}

impl Decisions {
    /// The key under which the decision about an offset is written.
    pub(super) fn key_of(topic: &str, partition: i32, offset: i64) -> String {
        format!("{topic}-{partition}-{offset}")
    }

    /// Takes in all records of the topic, in their order.
    pub(super) fn of(records: &[Raw], decode: impl Fn(&[u8]) -> Result<Passage, DecodeError>) -> Self {
        let mut this = Self::default();
        let mut unknown = Vec::new();
        for record in records {
            let why = match record.value.as_deref().map(&decode) {
                Some(Ok(Passage::PassedOffset(passed))) => {
                    // The first decision counts: whoever passed the offset already went by that.
                    let place = (passed.topic.clone(), passed.partition, passed.offset);
                    this.passed.entry(place).or_insert_with(|| Arc::new(passed));
                    continue;
                }
                Some(Err(DecodeError::UnknownSchema(id) | DecodeError::DeniedSchema(id))) => {
                    unknown.push((record, id));
                    continue;
                }
                Some(Ok(Passage::Unknown)) => "a kind of decision that this build does not know".to_owned(),
                Some(Err(DecodeError::Malformed(reason))) => reason,
                None => "it has no value".to_owned(),
            };
            this.unreadable.insert(record.offset, why);
        }
        // Once it is known which of them are passed themselves.
        for (record, schema_id) in unknown {
            if this.is_passed(&own_place(record.offset)) {
                continue;
            }
            this.unknown_schemas.insert(schema_id);
            let why = DecodeError::DeniedSchema(schema_id).to_string();
            this.unreadable.insert(record.offset, why);
            if let Some(place) = record.key.as_deref().and_then(place_of_key)
                && !this.is_passed(&place)
            {
                this.undecided.entry(place).or_insert((record.offset, schema_id));
            }
        }
        let passed = &this.passed;
        this.unreadable
            .retain(|offset, _| !passed.contains_key(&own_place(*offset)));
        this
    }

    /// What is decided about an offset.
    pub(super) fn word(&self, topic: &str, partition: i32, offset: i64) -> Word {
        // Nearly always.
        if self.passed.is_empty() && self.undecided.is_empty() {
            return Word::Use;
        }
        let place = (topic.to_owned(), partition, offset);
        if let Some(passed) = self.passed.get(&place) {
            return Word::Passed(Arc::clone(passed));
        }
        match self.undecided.get(&place) {
            Some((decision, schema_id)) => Word::Undecided {
                decision: *decision,
                schema_id: *schema_id,
            },
            None => Word::Use,
        }
    }

    fn is_passed(&self, place: &Place) -> bool {
        self.passed.contains_key(place)
    }
}

/// The place of a record of `passed-offsets` itself.
fn own_place(offset: i64) -> Place {
    (Passage::TOPIC.to_owned(), 0, offset)
}

/// What a key names; none when it is no key of a decision.
fn place_of_key(key: &[u8]) -> Option<Place> {
    let key = std::str::from_utf8(key).ok()?;
    let (rest, offset) = key.rsplit_once('-')?;
    let (topic, partition) = rest.rsplit_once('-')?;
    Some((topic.to_owned(), partition.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::codec::Codec;

    /// Of a schema that nobody has registered.
    const INVENTED: &[u8] = b"\x00\x7f\x00\x00\x01rest";
    const INVENTED_ID: u32 = 0x7f00_0001;

    fn passed(topic: &str, offset: i64, by: &str) -> PassedOffset {
        PassedOffset {
            topic: topic.to_owned(),
            partition: 0,
            offset,
            reason: "a test".to_owned(),
            decided_by: by.to_owned(),
            decided_us: 1,
        }
    }

    fn encoded(passed: PassedOffset) -> Vec<u8> {
        let mut value = Vec::new();
        let message = Passage::PassedOffset(passed);
        Codec::detached().encode(&message, &mut value).unwrap();
        value
    }

    /// Records from offset 0 on, each with its key and value.
    fn log<const N: usize>(records: [(&str, Option<Vec<u8>>); N]) -> Vec<Raw> {
        let numbered = (0..).zip(records);
        numbered
            .map(|(offset, (key, value))| Raw {
                offset,
                key: Some(key.as_bytes().to_vec()),
                value,
            })
            .collect()
    }

    fn decisions(records: &[Raw]) -> Decisions {
        let codec = Codec::detached();
        Decisions::of(records, |value| codec.decode(value))
    }

    #[test]
    fn what_can_never_be_read_decides_nothing_and_hides_no_decision() {
        let read = decisions(&log([
            ("orders-0-3", None),
            ("orders-0-4", Some(b"garbage".to_vec())),
            ("whatever", Some(INVENTED.to_vec())),
            ("orders-0-5", Some(encoded(passed("orders", 5, "first")))),
            ("orders-0-5", Some(encoded(passed("orders", 5, "second")))),
        ]));
        assert_eq!(read.word("orders", 0, 3), Word::Use);
        assert_eq!(read.word("orders", 0, 4), Word::Use);
        let Word::Passed(five) = read.word("orders", 0, 5) else {
            panic!("{:?}", read.word("orders", 0, 5));
        };
        assert_eq!(five.decided_by, "first");
        assert_eq!(read.unreadable.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(read.unknown_schemas, BTreeSet::from([INVENTED_ID]));
        assert!(read.undecided.is_empty());
    }

    #[test]
    fn only_who_comes_to_the_very_offset_waits_for_a_decision_of_an_unknown_schema() {
        let mut records = log([("account-commands-3-17", Some(INVENTED.to_vec()))]);
        let waits = Word::Undecided {
            decision: 0,
            schema_id: INVENTED_ID,
        };
        let read = decisions(&records);
        assert_eq!(read.word("account-commands", 3, 17), waits);
        assert_eq!(read.word("account-commands", 3, 18), Word::Use);
        // Its schema comes, and says that another offset is passed.
        let read = Decisions::of(&records, |_| Ok(Passage::PassedOffset(passed("orders", 9, "me"))));
        assert_eq!(read.word("account-commands", 3, 17), Word::Use);
        assert!(matches!(read.word("orders", 0, 9), Word::Passed(_)));
        // An operator says that it is passed itself: then it is, also when its schema comes one day.
        records.extend(
            log([("", None), ("", Some(encoded(passed("passed-offsets", 0, "me"))))])
                .into_iter()
                .skip(1),
        );
        let read = decisions(&records);
        assert_eq!(read.word("account-commands", 3, 17), Word::Use);
        assert!(read.unreadable.is_empty() && read.unknown_schemas.is_empty());
    }

    #[test]
    fn a_later_decision_that_can_be_read_ends_the_wait() {
        let mut later = passed("account-commands", 17, "me");
        later.partition = 3;
        let read = decisions(&log([
            ("account-commands-3-17", Some(INVENTED.to_vec())),
            ("account-commands-3-17", Some(encoded(later))),
        ]));
        assert!(matches!(read.word("account-commands", 3, 17), Word::Passed(_)));
    }

    #[test]
    fn a_key_names_its_place() {
        let key = Decisions::key_of("account-commands", 3, 17);
        assert_eq!(
            place_of_key(key.as_bytes()),
            Some(("account-commands".to_owned(), 3, 17))
        );
        for other in ["x", "account-commands", "account-commands-3-x", "", "-"] {
            assert_eq!(place_of_key(other.as_bytes()), None, "{other}");
        }
    }
}
