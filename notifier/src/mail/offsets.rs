//! Which records of `auth` are settled, and how that is written down.
//!
//! What is committed of a partition is the offset of its oldest letter that is not settled, so that whoever
//! reads on from there loses nothing. Records behind it that are settled already stand in the commit's
//! metadata, so that a letter which waits for hours does not bring back, with the next owner of the
//! partition, all that were delivered meanwhile. Who ignores the metadata repeats letters.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The first word of the metadata: how the rest is to be read. Each range of settled offsets is written as
/// `PASSED-LENGTH`: how many offsets lie between it and the one before (for the first: the committed offset), and
/// how many are in it. So short that what is said of hundreds of letters that wait has room.
const FORM: &str = "since";
/// The same with ranges as `FIRST-LAST`: what an instance of an older release wrote.
const FORM_OF_OLDER: &str = "settled";
/// Kafka takes 4,096 bytes (`offset.metadata.max.bytes`).
const METADATA_BYTES_MAX: usize = 4_000;

/// What is known of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing.
    Never,
    /// It is a letter that is not settled.
    Open,
    /// Nothing more is to be done about it.
    Settled,
}

/// What is to be committed of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) metadata: String,
}

/// The records of the partitions that this instance reads.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    partitions: BTreeMap<i32, Partition>,
}

#[derive(Debug)]
struct Partition {
    /// Letters that are not settled.
    open: BTreeSet<i64>,
    /// The offset behind the last record that was read.
    next: i64,
    /// Records that a former owner had settled, in order.
    before: Vec<Range<i64>>,
    committed: Option<(i64, String)>,
}

impl Offsets {
    /// Whether a partition was begun.
    pub(super) fn has(&self, partition: i32) -> bool {
        self.partitions.contains_key(&partition)
    }

    /// A partition is read from `offset` on; `committed` is what was committed of it, an offset and its metadata.
    pub(super) fn begin(&mut self, partition: i32, offset: i64, committed: Option<(i64, &str)>) {
        let state = Partition {
            open: BTreeSet::new(),
            next: offset,
            before: committed.map_or_else(Vec::new, |(from, metadata)| read(from, metadata)),
            committed: None,
        };
        self.partitions.insert(partition, state);
    }

    /// Forgets the partitions that are not among these, and returns which they were.
    pub(super) fn keep(&mut self, assigned: &BTreeSet<i32>) -> Vec<i32> {
        let gone = self.partitions.keys().filter(|partition| !assigned.contains(partition));
        let gone: Vec<i32> = gone.copied().collect();
        for partition in &gone {
            self.partitions.remove(partition);
        }
        gone
    }

    /// What is known of a record of a partition that was begun.
    pub(super) fn seen(&self, partition: i32, offset: i64) -> Seen {
        let Some(state) = self.partitions.get(&partition) else {
            return Seen::Never;
        };
        if state.open.contains(&offset) {
            Seen::Open
        } else if offset < state.next || state.before.iter().any(|range| range.contains(&offset)) {
            Seen::Settled
        } else {
            Seen::Never
        }
    }

    /// A record was read that asks for a letter.
    pub(super) fn open(&mut self, partition: i32, offset: i64) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.open.insert(offset);
            state.next = state.next.max(offset + 1);
        }
    }

    /// Nothing more is to be done about a record. One of a partition that is gone is left to its next owner.
    pub(super) fn settle(&mut self, partition: i32, offset: i64) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.open.remove(&offset);
            state.next = state.next.max(offset + 1);
        }
    }

    /// What has to be committed that is not yet.
    pub(super) fn to_commit(&self) -> Vec<Commit> {
        let mut commits = Vec::new();
        for (partition, state) in &self.partitions {
            let (offset, metadata) = state.standing();
            let known = state.committed.as_ref();
            if known.is_none_or(|known| (known.0, &known.1) != (offset, &metadata)) {
                commits.push(Commit {
                    partition: *partition,
                    offset,
                    metadata,
                });
            }
        }
        commits
    }

    /// Kafka has acknowledged these.
    pub(super) fn committed(&mut self, commits: Vec<Commit>) {
        for commit in commits {
            if let Some(state) = self.partitions.get_mut(&commit.partition) {
                state.committed = Some((commit.offset, commit.metadata));
            }
        }
    }
}

impl Partition {
    fn standing(&self) -> (i64, String) {
        let offset = self.open.first().copied().unwrap_or(self.next);
        let mut settled = Vec::new();
        let mut from = offset;
        for open in &self.open {
            settled.push(from..*open);
            from = open + 1;
        }
        settled.push(from..self.next);
        for range in &self.before {
            settled.push(range.start.max(self.next)..range.end);
        }
        (
            offset,
            written(offset, settled.into_iter().filter(|range| !range.is_empty())),
        )
    }
}

/// Ranges of offsets, in order, as text; nothing when there are none.
fn written(committed: i64, ranges: impl Iterator<Item = Range<i64>>) -> String {
    let mut merged = Vec::<Range<i64>>::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => merged.push(range),
        }
    }
    let mut text = String::new();
    let mut passed = committed;
    for range in merged {
        let word = format!(" {}-{}", range.start - passed, range.end - range.start);
        passed = range.end;
        if text.is_empty() {
            text.push_str(FORM);
        }
        // What does not fit is repeated by the next owner.
        if text.len() + word.len() > METADATA_BYTES_MAX {
            break;
        }
        text.push_str(&word);
    }
    text
}

/// The ranges in such a text. Nothing in any other text: then letters are repeated.
fn read(committed: i64, text: &str) -> Vec<Range<i64>> {
    let mut words = text.split(' ');
    let form = words.next();
    let mut passed = committed;
    let range = |word: &str| {
        let (first, second) = word.split_once('-')?;
        let (first, second) = (first.parse::<i64>().ok()?, second.parse::<i64>().ok()?);
        if form == Some(FORM_OF_OLDER) {
            return Some(first..second.checked_add(1)?);
        }
        let start = passed.checked_add(first)?;
        passed = start.checked_add(second)?;
        Some(start..passed)
    };
    match form {
        Some(FORM | FORM_OF_OLDER) => words.map(range).collect::<Option<_>>().unwrap_or_default(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn standing(offsets: &mut Offsets) -> (i64, String) {
        let commits = offsets.to_commit();
        let [commit] = commits.as_slice() else {
            panic!("{commits:?}")
        };
        let standing = (commit.offset, commit.metadata.clone());
        offsets.committed(commits);
        assert_eq!(offsets.to_commit(), [], "it is committed once");
        standing
    }

    #[test]
    fn the_oldest_open_letter_holds_the_commit() {
        let mut offsets = Offsets::default();
        offsets.begin(0, 5, None);
        assert_eq!(standing(&mut offsets), (5, String::new()));
        for offset in 5..8 {
            assert_eq!(offsets.seen(0, offset), Seen::Never);
            offsets.open(0, offset);
        }
        assert_eq!(offsets.to_commit(), [], "nothing is settled");
        offsets.settle(0, 5);
        assert_eq!(standing(&mut offsets), (6, String::new()));
    }

    #[test]
    fn what_was_settled_behind_a_waiting_letter_is_known_to_the_next_owner() {
        let mut offsets = Offsets::default();
        offsets.begin(0, 5, None);
        offsets.committed(offsets.to_commit());
        for offset in 5..12 {
            offsets.open(0, offset);
        }
        for offset in [6, 7, 9, 11] {
            offsets.settle(0, offset);
        }
        // Records that ask for no letter, after a hole.
        offsets.settle(0, 20);
        let (offset, metadata) = standing(&mut offsets);
        assert_eq!((offset, metadata.as_str()), (5, "since 1-2 1-1 1-10"));

        let mut next = Offsets::default();
        next.begin(0, offset, Some((offset, &metadata)));
        let seen: Vec<_> = (5..22).filter(|offset| next.seen(0, *offset) == Seen::Never).collect();
        assert_eq!(seen, [5, 8, 10, 21]);
        // It commits while it has read but a part again: nothing is forgotten.
        next.open(0, 5);
        next.settle(0, 6);
        assert_eq!(standing(&mut next), (5, "since 1-2 1-1 1-10".to_owned()));
        for offset in [7, 9, 11, 20] {
            next.settle(0, offset);
        }
        next.open(0, 8);
        next.open(0, 10);
        assert_eq!(next.seen(0, 8), Seen::Open);
        next.settle(0, 5);
        next.settle(0, 8);
        assert_eq!(standing(&mut next), (10, "since 1-10".to_owned()));
        next.settle(0, 10);
        assert_eq!(standing(&mut next), (21, String::new()));
    }

    #[test]
    fn metadata_that_cannot_be_read_repeats_and_too_much_of_it_is_cut() {
        for text in [
            "",
            "other 1-2",
            "settled x",
            "settled 1-9223372036854775807",
            "settled 1",
            "since x",
            "since 1-9223372036854775807",
            "since 1",
        ] {
            assert_eq!(read(5, text), [], "{text}");
        }
        let ranges = (1..1_000).map(|number| number * 1_000..number * 1_000 + 500);
        let text = written(7, ranges.clone());
        assert!(text.len() <= METADATA_BYTES_MAX, "{}", text.len());
        let kept = read(7, &text);
        assert!(kept.len() > 450 && ranges.into_iter().zip(&kept).all(|(range, kept)| range == *kept));
    }

    #[test]
    fn what_an_older_release_wrote_is_read() {
        assert_eq!(read(5, "settled 6-7 9-9 11-20"), [6..8, 9..10, 11..21]);
    }

    #[test]
    fn all_letters_that_may_wait_have_room() {
        let mut offsets = Offsets::default();
        let first = 5_000_000_000;
        offsets.begin(0, first, None);
        let waiting = 512 + 64;
        for number in 0..waiting {
            // Others were settled between any two.
            let offset = first + number * 100;
            offsets.open(0, offset);
            offsets.settle(0, offset + 1);
        }
        let (offset, metadata) = standing(&mut offsets);
        let mut next = Offsets::default();
        next.begin(0, offset, Some((offset, &metadata)));
        let last = first + waiting * 100;
        let again = (first..last - 98).filter(|offset| next.seen(0, *offset) == Seen::Never);
        assert_eq!(again.count() as i64, waiting, "{} bytes", metadata.len());
    }

    #[test]
    fn a_partition_that_is_gone_is_left_to_its_next_owner() {
        let mut offsets = Offsets::default();
        offsets.begin(0, 5, None);
        offsets.begin(1, 5, None);
        offsets.open(0, 5);
        assert_eq!(offsets.keep(&BTreeSet::from([1])), [0]);
        offsets.settle(0, 5);
        assert!(!offsets.has(0) && offsets.has(1));
        assert_eq!((offsets.seen(0, 5), offsets.seen(1, 4)), (Seen::Never, Seen::Settled));
    }
}
