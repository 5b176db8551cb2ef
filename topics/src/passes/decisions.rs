//! What the records of `passed-offsets` say together.
//!
//! Pure: who has the same records and knows the same schemas takes the same view of every offset.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use brokerx_schemas::{AcceptedTime, Message, Passage, PassedOffset};

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
    /// The offsets of which a schema that is not known may say that they are passed: the decision that names it,
    /// and that schema.
    undecided: HashMap<Place, Waits>,
    /// By topic and partition, the latest append time that is used although it has not come, microseconds since the
    /// epoch.
    accepted_us: HashMap<(String, i32), i64>,
    /// Records of `passed-offsets` that decide nothing, and why; but those that are passed themselves.
    pub(super) unreadable: BTreeMap<i64, String>,
    /// Schemas that must be known to read the rest.
    pub(super) unknown_schemas: BTreeSet<u32>,
}

/// A decision whose schema is not known, and that schema.
type Waits = (i64, u32);

/// What a record says.
enum Said {
    /// That this offset is passed.
    Passed(Place, PassedOffset),
    /// That a log from the future is used up to a time.
    Accepted(AcceptedTime),
    /// That the offset which its key names is passed, if its schema, which is not known, makes that of it.
    Unknown(Option<Place>, u32),
    /// Nothing, today and for ever.
    Nothing(String),
}

impl Decisions {
    /// The key under which the decision about an offset is written.
    pub(super) fn key_of(topic: &str, partition: i32, offset: i64) -> String {
        format!("{topic}-{partition}-{offset}")
    }

    /// The key under which it is written up to which time a log from the future is used.
    pub(super) fn key_of_time(topic: &str, partition: i32) -> String {
        format!("{topic}-{partition}-time")
    }

    /// Takes in all records of the topic, in their order.
    ///
    /// A record that is passed itself decides nothing, also when its schema is known one day: who went on without it
    /// went by that. Only a later record passes an earlier one, so from the last to the first it is known of each
    /// record whether it is passed before it is looked at.
    pub(super) fn of(records: &[Raw], decode: impl Fn(&[u8]) -> Result<Passage, DecodeError>) -> Self {
        let mut this = Self::default();
        for record in records.iter().rev() {
            let own = own_place(record.offset);
            if this.passed.contains_key(&own) {
                continue;
            }
            // Whether a decision of an unknown schema says that this record is passed: then it is not known either
            // what it decides.
            let may_be_passed = this.undecided.get(&own).copied();
            match said(record, &decode) {
                // The first decision counts: whoever passed the offset already went by that.
                Said::Passed(place, passed) => match may_be_passed {
                    Some(waits) => _ = this.undecided.insert(place, waits),
                    None => _ = this.passed.insert(place, Arc::new(passed)),
                },
                Said::Accepted(accepted) if may_be_passed.is_none() => {
                    let until_us = this
                        .accepted_us
                        .entry((accepted.topic, accepted.partition))
                        .or_insert(i64::MIN);
                    *until_us = (*until_us).max(accepted.until_us);
                }
                Said::Accepted(_) => {}
                Said::Unknown(place, schema_id) => {
                    this.unknown_schemas.insert(schema_id);
                    let why = format!("its schema, id {schema_id}, is not known");
                    this.unreadable.insert(record.offset, why);
                    if let Some(place) = place {
                        this.undecided.insert(place, (record.offset, schema_id));
                    }
                }
                Said::Nothing(why) => _ = this.unreadable.insert(record.offset, why),
            }
        }
        this
    }

    /// Whether what was appended to a partition at a time, milliseconds since the epoch, is used although that time
    /// has not come.
    pub(super) fn accepts(&self, topic: &str, partition: i32, appended_ms: i64) -> bool {
        let until_us = self.accepted_us.get(&(topic.to_owned(), partition));
        until_us.is_some_and(|until_us| appended_ms <= until_us.div_euclid(1_000))
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
}

/// What a record says about an offset. A value counts only under the key of what it is about: the key alone says
/// who waits while the value cannot be read, and a schema that comes late must not pass what nobody waited for.
fn said(record: &Raw, decode: impl Fn(&[u8]) -> Result<Passage, DecodeError>) -> Said {
    let about = record.key.as_deref().and_then(place_of_key);
    // What was not there yet when the record was written cannot be passed by it.
    let about = about.filter(|(topic, _, offset)| topic != Passage::TOPIC || *offset < record.offset);
    match record.value.as_deref().map(decode) {
        Some(Ok(Passage::PassedOffset(passed))) => {
            let place = (passed.topic.clone(), passed.partition, passed.offset);
            match about == Some(place.clone()) {
                true => Said::Passed(place, passed),
                false => Said::Nothing(format!(
                    "its key is not that of offset {} of {}-{}",
                    place.2, place.0, place.1
                )),
            }
        }
        Some(Err(DecodeError::UnknownSchema(id) | DecodeError::DeniedSchema(id))) => Said::Unknown(about, id),
        Some(Ok(Passage::AcceptedTime(accepted))) => {
            let key = Decisions::key_of_time(&accepted.topic, accepted.partition);
            match record.key.as_deref() == Some(key.as_bytes()) {
                true => Said::Accepted(accepted),
                false => Said::Nothing(format!("its key is not {key}")),
            }
        }
        Some(Ok(Passage::Unknown)) => Said::Nothing("a kind of decision that this build does not know".to_owned()),
        Some(Err(DecodeError::Malformed(reason))) => Said::Nothing(reason),
        None => Said::Nothing("it has no value".to_owned()),
    }
}

/// The place of a record of `passed-offsets` itself.
fn own_place(offset: i64) -> Place {
    (Passage::TOPIC.to_owned(), 0, offset)
}

/// What a key names; none when it is no key of a decision.
fn place_of_key(whole: &[u8]) -> Option<Place> {
    let key = std::str::from_utf8(whole).ok()?;
    let (rest, offset) = key.rsplit_once('-')?;
    let (topic, partition) = rest.rsplit_once('-')?;
    let place = (topic.to_owned(), partition.parse().ok()?, offset.parse().ok()?);
    // A number has one spelling.
    (Decisions::key_of(&place.0, place.1, place.2).as_bytes() == whole).then_some(place)
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
        let decide = |place: (&'static str, i32, i64)| {
            move |_: &[u8]| {
                let mut passed = passed(place.0, place.2, "late");
                passed.partition = place.1;
                Ok(Passage::PassedOffset(passed))
            }
        };
        // Its schema comes, and says what its key says.
        let read = Decisions::of(&records, decide(("account-commands", 3, 17)));
        assert!(matches!(read.word("account-commands", 3, 17), Word::Passed(_)));
        // Or it says that another offset is passed, for which nobody waited.
        let read = Decisions::of(&records, decide(("orders", 0, 9)));
        assert_eq!(read.word("account-commands", 3, 17), Word::Use);
        assert_eq!(read.word("orders", 0, 9), Word::Use);
        assert_eq!(read.unreadable.keys().copied().collect::<Vec<_>>(), [0]);
        // An operator says that it is passed itself: then it is, also when its schema comes one day.
        records.extend(
            log([
                ("", None),
                ("passed-offsets-0-0", Some(encoded(passed("passed-offsets", 0, "me")))),
            ])
            .into_iter()
            .skip(1),
        );
        let read = decisions(&records);
        assert_eq!(read.word("account-commands", 3, 17), Word::Use);
        assert!(read.unreadable.is_empty() && read.unknown_schemas.is_empty());
        let late = decide(("account-commands", 3, 17));
        let read = Decisions::of(&records, |value| match value == INVENTED {
            true => late(value),
            false => Codec::detached().decode(value),
        });
        assert_eq!(read.word("account-commands", 3, 17), Word::Use);
        assert!(matches!(read.word("passed-offsets", 0, 0), Word::Passed(_)));
    }

    /// A decision, one that may pass it, and one that passes that.
    #[test]
    fn while_it_is_not_known_whether_a_decision_is_passed_its_offset_waits() {
        let mut records = log([
            ("orders-0-5", Some(encoded(passed("orders", 5, "me")))),
            ("passed-offsets-0-0", Some(INVENTED.to_vec())),
            ("passed-offsets-0-1", Some(encoded(passed("passed-offsets", 1, "me")))),
        ]);
        let known = |value: &[u8]| match value == INVENTED {
            true => Ok(Passage::PassedOffset(passed("passed-offsets", 0, "late"))),
            false => Codec::detached().decode(value),
        };
        for decode in [
            &(|value: &[u8]| Codec::detached().decode(value)) as &dyn Fn(&[u8]) -> _,
            &known,
        ] {
            let read = Decisions::of(&records, decode);
            assert!(matches!(read.word("orders", 0, 5), Word::Passed(_)));
        }
        records.pop();
        let waits = Word::Undecided {
            decision: 1,
            schema_id: INVENTED_ID,
        };
        assert_eq!(decisions(&records).word("orders", 0, 5), waits);
        assert_eq!(Decisions::of(&records, known).word("orders", 0, 5), Word::Use);
    }

    #[test]
    fn a_decision_counts_only_under_its_own_key_and_about_what_was_there() {
        let read = decisions(&log([
            ("orders-0-6", Some(encoded(passed("orders", 5, "me")))),
            ("passed-offsets-0-2", Some(encoded(passed("passed-offsets", 2, "me")))),
            ("orders-0-05", Some(encoded(passed("orders", 5, "me")))),
        ]));
        for offset in [5, 6] {
            assert_eq!(read.word("orders", 0, offset), Word::Use);
        }
        assert_eq!(read.word("passed-offsets", 0, 2), Word::Use);
        assert_eq!(read.unreadable.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
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
    fn a_log_from_the_future_is_used_up_to_the_latest_time_that_was_accepted() {
        let accepted = |partition, until_us| {
            let message = Passage::AcceptedTime(AcceptedTime {
                topic: "orders".to_owned(),
                partition,
                until_us,
                reason: "a test".to_owned(),
                decided_by: "me".to_owned(),
                decided_us: 1,
            });
            let mut value = Vec::new();
            Codec::detached().encode(&message, &mut value).unwrap();
            Some(value)
        };
        let mut records = log([
            ("orders-0-time", accepted(0, 9_000)),
            ("orders-0-time", accepted(0, 5_000)),
            // Under another key it decides nothing.
            ("orders-0-5", accepted(0, 99_000)),
            ("orders-2-time", accepted(2, 7_000)),
        ]);
        let read = decisions(&records);
        assert!(read.accepts("orders", 0, 9) && !read.accepts("orders", 0, 10));
        assert!(read.accepts("orders", 2, 7) && !read.accepts("orders", 1, 0) && !read.accepts("trades", 0, 0));
        assert_eq!(read.unreadable.keys().copied().collect::<Vec<_>>(), [2]);
        assert_eq!(read.word("orders", 0, 5), Word::Use);
        // Nobody waits for one whose schema is not known, and one that may be passed itself accepts nothing.
        records.extend(
            log([
                ("", None),
                ("", None),
                ("", None),
                ("", None),
                ("orders-1-time", Some(INVENTED.to_vec())),
                ("passed-offsets-0-0", Some(INVENTED.to_vec())),
            ])
            .into_iter()
            .skip(4),
        );
        let read = decisions(&records);
        assert!(read.accepts("orders", 0, 5) && !read.accepts("orders", 0, 9));
        assert_eq!(read.word("orders", 1, 0), Word::Use);
    }

    #[test]
    fn a_key_names_its_place() {
        let key = Decisions::key_of("account-commands", 3, 17);
        assert_eq!(
            place_of_key(key.as_bytes()),
            Some(("account-commands".to_owned(), 3, 17))
        );
        for other in [
            "x",
            "account-commands",
            "account-commands-3-x",
            "",
            "-",
            "orders-0-05",
            "orders-+0-5",
        ] {
            assert_eq!(place_of_key(other.as_bytes()), None, "{other}");
        }
    }
}
