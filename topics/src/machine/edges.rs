//! Edges without gaps.
//!
//! An *edge* is a pair of source topic-partition and destination topic-partition. Its sender numbers
//! what it sends, dense from 1, and its receiver applies only the last number + 1. A lower number is
//! a duplicate. A higher one is dropped too, not queued: a sender that lost a record starts over
//! from before the hole (go-back-N), and an open hole blocks only its own source.

use std::collections::BTreeMap;

use brokerx_schemas::Message;
use serde::{Deserialize, Serialize};

/// Who wrote a record, and its number on the edge: the headers `src` and `seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The writer's inbox: `topic-partition`.
    pub source: String,
    /// Dense from 1.
    pub seq: u64,
}

impl Identity {
    /// Whether the writer is the fold of a partition of this inbox.
    pub fn is_of(&self, inbox: &str) -> bool {
        is_partition_of(self.source.as_bytes(), inbox)
    }
}

fn is_partition_of(source: &[u8], inbox: &str) -> bool {
    let partition = source
        .strip_prefix(inbox.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"-"));
    partition.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

/// Whether a record is of its topic: whoever writes it says who it is
/// ([`claimed_source`](crate::headers::claimed_source)), and is one of those who alone write there, if there are such
/// ([`Message::WRITERS`]). Any other record is nobody's, whatever it says, also when its number cannot be read.
pub fn is_of_its_topic<M: Message>(source: Option<&[u8]>) -> bool {
    M::WRITERS.is_empty() || source.is_some_and(|source| M::WRITERS.iter().any(|inbox| is_partition_of(source, inbox)))
}

/// What the number of a record says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next one.
    Next,
    /// Seen before.
    Duplicate,
    /// Numbers are missing before it.
    Hole {
        /// The number that should have come.
        expected: u64,
    },
}

/// Which rules of the edges are in force: all of them, except in the test that shows that each is
/// needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Drop records with a number that was seen.
    pub remove_duplicates: bool,
    /// Drop records behind a hole, so that what the sender sends again is taken in order.
    pub go_back_n: bool,
    /// Commit and snapshot only what is acknowledged.
    pub wait_for_acknowledgement: bool,
}

impl Discipline {
    /// All rules.
    pub const FULL: Self = Self {
        remove_duplicates: true,
        go_back_n: true,
        wait_for_acknowledgement: true,
    };
}

/// The counters of all edges of one machine; part of its state and of its snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edges {
    /// Highest number applied, per source.
    received: BTreeMap<String, u64>,
    /// Last number given, per destination topic and partition.
    sent: BTreeMap<String, BTreeMap<i32, u64>>,
}

impl Edges {
    /// Judges a record and, when it is the next, counts it.
    pub fn receive(&mut self, identity: &Identity, discipline: Discipline) -> Verdict {
        // Looked up by reference first: a source is new only once, and only then is its name
        // copied.
        let last = match self.received.get_mut(&identity.source) {
            Some(last) => last,
            None => self.received.entry(identity.source.clone()).or_insert(0),
        };
        let expected = *last + 1;
        if identity.seq < expected && discipline.remove_duplicates {
            return Verdict::Duplicate;
        }
        if identity.seq > expected && discipline.go_back_n {
            return Verdict::Hole { expected };
        }
        *last = (*last).max(identity.seq);
        Verdict::Next
    }

    /// The number of the next record to a destination.
    pub fn next_seq(&mut self, topic: &str, partition: i32) -> u64 {
        let partitions = match self.sent.get_mut(topic) {
            Some(partitions) => partitions,
            None => self.sent.entry(topic.to_owned()).or_default(),
        };
        let last = partitions.entry(partition).or_insert(0);
        *last += 1;
        *last
    }

    /// Highest number applied of each source.
    pub fn received(&self) -> impl Iterator<Item = (&str, u64)> {
        self.received.iter().map(|(source, seq)| (source.as_str(), *seq))
    }

    /// Last number given to each destination.
    pub fn sent(&self) -> impl Iterator<Item = (&str, i32, u64)> {
        self.sent.iter().flat_map(|(topic, partitions)| {
            partitions
                .iter()
                .map(|(partition, seq)| (topic.as_str(), *partition, *seq))
        })
    }
}

#[cfg(test)]
mod tests {
    use brokerx_schemas::{AccountEvent, AuthEvent, Reply};
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;
    use crate::headers::{SRC, Trace, claimed_source, trace_headers, worker_headers};

    fn identity(seq: u64) -> Identity {
        Identity {
            source: "orders-0".to_owned(),
            seq,
        }
    }

    #[test]
    fn only_the_next_number_is_applied() {
        let mut edges = Edges::default();
        for (seq, verdict) in [
            (1, Verdict::Next),
            (1, Verdict::Duplicate),
            (3, Verdict::Hole { expected: 2 }),
            (4, Verdict::Hole { expected: 2 }),
            (2, Verdict::Next),
            (3, Verdict::Next),
            (2, Verdict::Duplicate),
        ] {
            assert_eq!(edges.receive(&identity(seq), Discipline::FULL), verdict, "{seq}");
        }
    }

    #[test]
    fn a_writer_is_the_fold_of_one_partition_of_its_inbox() {
        for (source, expected) in [
            ("book-commands-7", true),
            ("book-commands-12", true),
            ("book-commands-", false),
            ("book-commands", false),
            ("book-commands-x", false),
            ("account-commands-7", false),
            ("", false),
        ] {
            let identity = Identity {
                source: source.to_owned(),
                seq: 1,
            };
            assert_eq!(identity.is_of("book-commands"), expected, "{source}");
        }
    }

    #[test]
    fn a_record_of_a_workers_topic_names_that_worker() {
        let of = |source: &str| worker_headers(source, 1, 0, &Trace::default());
        let (account, book, tool) = (of("account-commands-3"), of("book-commands-0"), of("tool-0"));
        let client = trace_headers(&Trace::default());
        // Its number cannot be read.
        let source = |key, value| Header {
            key,
            value: Some(value),
        };
        let half = |name| OwnedHeaders::new().insert(source(SRC, name));
        let (half_a_tool, half_an_account) = (half("tool-0"), half("account-commands-3"));
        for headers in [&account, &half_an_account] {
            assert!(
                is_of_its_topic::<AccountEvent>(claimed_source(Some(headers))),
                "{headers:?}"
            );
        }
        for stray in [&book, &tool, &client, &half_a_tool] {
            assert!(
                !is_of_its_topic::<AccountEvent>(claimed_source(Some(stray))),
                "{stray:?}"
            );
        }
        for headers in [&account, &book] {
            assert!(is_of_its_topic::<Reply>(claimed_source(Some(headers))), "{headers:?}");
        }
        assert!(!is_of_its_topic::<Reply>(None));
        // The outbox of the ingress has no numbers.
        assert!(is_of_its_topic::<AuthEvent>(None));
    }

    #[test]
    fn every_destination_is_numbered_by_itself() {
        let mut edges = Edges::default();
        assert_eq!(edges.next_seq("trades", 0), 1);
        assert_eq!(edges.next_seq("trades", 0), 2);
        assert_eq!(edges.next_seq("trades", 1), 1);
        assert_eq!(edges.next_seq("replies", 0), 1);
    }
}
