//! Removal of duplicates for a reader that starts in the middle of a topic.

use std::collections::HashMap;

use crate::machine::{Identity, Verdict};

/// The last number applied of each source; the first that is seen is the base.
#[derive(Debug, Default)]
pub struct Sequences {
    last: HashMap<String, u64>,
}

impl Sequences {
    /// Judges a record and, when it is the next, counts it.
    pub fn judge(&mut self, identity: &Identity) -> Verdict {
        // Looked up by reference: a source is new once, known for ever.
        let Some(last) = self.last.get_mut(&identity.source) else {
            self.last.insert(identity.source.clone(), identity.seq);
            return Verdict::Next;
        };
        let expected = *last + 1;
        match identity.seq {
            seq if seq < expected => Verdict::Duplicate,
            seq if seq > expected => Verdict::Hole { expected },
            seq => {
                *last = seq;
                Verdict::Next
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_is_the_base() {
        let mut sequences = Sequences::default();
        let mut judge = |source: &str, seq| {
            sequences.judge(&Identity {
                source: source.to_owned(),
                seq,
            })
        };
        assert_eq!(judge("a", 40), Verdict::Next);
        assert_eq!(judge("a", 39), Verdict::Duplicate);
        assert_eq!(judge("a", 40), Verdict::Duplicate);
        assert_eq!(judge("a", 42), Verdict::Hole { expected: 41 });
        assert_eq!(judge("b", 1), Verdict::Next);
        assert_eq!(judge("a", 41), Verdict::Next);
        assert_eq!(judge("a", 42), Verdict::Next);
    }
}
