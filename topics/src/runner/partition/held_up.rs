//! A partition whose log goes on, and of which nothing is given: another producer's transaction is open, whose end
//! Kafka waits for before it gives out anything behind its first record.

use std::time::{Duration, Instant};

/// After this time without anything it is told. Transactions of tools that end by themselves take less.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks whether a partition is held up.
#[derive(Debug, Default)]
pub struct HeldUp {
    /// Where it stands, and since when.
    stands: Option<(i64, Instant)>,
    is_told: bool,
}

/// What has changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has been held up for some time.
    Begins,
    /// It goes on.
    Ends,
}

impl HeldUp {
    /// Looks at where a partition is that reads, and where its log ends.
    pub fn look(&mut self, position: i64, end: i64, now: Instant) -> Option<Turn> {
        let moves = position >= end || self.stands.is_none_or(|(at, _)| at != position);
        if moves {
            self.stands = (position < end).then_some((position, now));
            return std::mem::take(&mut self.is_told).then_some(Turn::Ends);
        }
        let (_, since) = self.stands?;
        let begins = !self.is_told && now.saturating_duration_since(since) >= PATIENCE;
        self.is_told |= begins;
        begins.then_some(Turn::Begins)
    }

    /// It does not read, for another reason.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_partition_of_which_nothing_comes_is_held_up() {
        let begun = Instant::now();
        let mut held_up = HeldUp::default();
        for (second, position, end, turn) in [
            (0, 10, 10, None),
            (60, 10, 10, None),
            // Behind, and it goes on.
            (61, 10, 30, None),
            (65, 20, 40, None),
            (69, 30, 50, None),
            (73, 30, 60, None),
            (74, 30, 60, Some(Turn::Begins)),
            (90, 30, 70, None),
            (91, 31, 70, Some(Turn::Ends)),
            (95, 31, 70, None),
            (96, 31, 70, Some(Turn::Begins)),
            (97, 70, 70, Some(Turn::Ends)),
            (98, 70, 70, None),
        ] {
            let now = begun + Duration::from_secs(second);
            assert_eq!(held_up.look(position, end, now), turn, "{second} s");
        }
    }
}
