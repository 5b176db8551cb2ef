//! The end of a day: closed for the accounts once every book partition has said so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use brokerx_schemas::DayClosed;

/// The days that have closed, counted since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Hash, Serialize, Deserialize)]
pub(super) struct Days {
    /// The last day that each book partition closed.
    books: BTreeMap<i32, i32>,
    /// The last day that closed here.
    closed: Option<i32>,
}

impl Days {
    /// Takes in what one book partition says. Returns the day that closes here because of it, if
    /// one does.
    pub(super) fn arrive(&mut self, arrived: DayClosed, book_partitions: i32) -> Option<i32> {
        if !(0..book_partitions).contains(&arrived.book_partition) {
            return None;
        }
        let last = self.books.entry(arrived.book_partition).or_insert(arrived.day);
        *last = arrived.day.max(*last);
        let all = i64::try_from(self.books.len()).is_ok_and(|count| count == i64::from(book_partitions));
        let day = self.books.values().min().copied().filter(|_| all)?;
        if self.closed.is_some_and(|closed| day <= closed) {
            return None;
        }
        self.closed = Some(day);
        Some(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_closes_with_the_last_book_and_only_once() {
        let mut days = Days::default();
        let mut arrive = |day, book_partition| days.arrive(DayClosed { day, book_partition }, 2);
        assert_eq!(arrive(10, 0), None);
        assert_eq!(arrive(10, 2), None, "no such partition");
        assert_eq!(arrive(10, 1), Some(10));
        assert_eq!(arrive(10, 1), None);
        assert_eq!(arrive(12, 0), None);
        assert_eq!(arrive(11, 1), Some(11));
        assert_eq!(arrive(12, 1), Some(12));
    }
}
