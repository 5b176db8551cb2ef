//! The snapshot cycle of `market-data`: every book is written once in so many seconds.

use brokerx_topics::machine::{Context, Outputs};

use super::publish::Publisher;
use super::state::Matcher;
use super::work::Work;

/// Books and levels of one step of the snapshot cycle.
const BOOKS_MAX: usize = 64;
const LEVELS_MAX: usize = 8_192;

impl Matcher {
    /// Writes the next books that are due.
    pub(super) fn write_snapshots(&mut self, context: &Context, mut due: usize, outputs: &mut Outputs) {
        let levels_max = usize::try_from(self.config.snapshot_levels_max).unwrap_or(0);
        let mut publisher = Publisher::new(&self.routes, context, outputs);
        let (mut books, mut levels) = (0, 0);
        while due > 0 {
            if books == BOOKS_MAX || levels >= LEVELS_MAX {
                return self.work.push(Work::Snapshots { due });
            }
            let listing = &self.listings[self.snapshot_next];
            self.snapshot_next = (self.snapshot_next + 1) % self.listings.len();
            due -= 1;
            if listing.standing.delisted {
                continue;
            }
            levels += publisher.book_snapshot(listing, levels_max);
            books += 1;
        }
    }
}
