//! The levels of one book, built from a snapshot and the increments after it.

use std::collections::BTreeMap;

use brokerx_schemas::{BookSnapshot, BookUpdate, InstrumentStatus, InstrumentStatusChange, Level, Side};

/// Price to shares and orders.
type Levels = BTreeMap<i64, (i64, i32)>;

/// What an increment did to a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was the next one, and the book has it now.
    Yes,
    /// It is older than the book.
    Old,
    /// Something before it is missing; the book waits for a snapshot.
    Gap,
}

/// A book at a sequence number. It is not valid before a snapshot, or the very first increment, has come.
#[derive(Clone, Debug, Default)]
pub struct Book {
    valid: bool,
    sequence: i64,
    bids: Levels,
    asks: Levels,
    status: Option<InstrumentStatus>,
    last_cents: Option<i64>,
    reference_cents: Option<i64>,
    updated_us: i64,
    snapshots: u64,
}

impl Book {
    /// Takes a snapshot, unless the book is ahead of it, or at the same sequence number while the snapshot
    /// leaves out the far levels.
    pub fn snapshot(&mut self, snapshot: &BookSnapshot) {
        let is_known = snapshot.sequence < self.sequence || snapshot.sequence == self.sequence && !snapshot.complete;
        if self.valid && is_known {
            return;
        }
        let levels = |levels: &[Level]| {
            levels
                .iter()
                .map(|level| (level.price_cents, (level.quantity, level.order_count)))
                .collect()
        };
        *self = Self {
            valid: true,
            sequence: snapshot.sequence,
            bids: levels(&snapshot.bids),
            asks: levels(&snapshot.asks),
            status: Some(snapshot.status),
            last_cents: snapshot.last_price_cents,
            reference_cents: Some(snapshot.reference_price_cents),
            updated_us: snapshot.occurred_us,
            snapshots: self.snapshots + 1,
        };
    }

    /// Takes the levels that a command changed.
    pub fn update(&mut self, update: &BookUpdate) -> Applied {
        let applied = self.advance(update.sequence, update.occurred_us);
        if applied == Applied::Yes {
            for change in &update.changes {
                let side = if change.side == Side::Buy {
                    &mut self.bids
                } else {
                    &mut self.asks
                };
                if change.quantity == 0 {
                    side.remove(&change.price_cents);
                } else {
                    side.insert(change.price_cents, (change.quantity, change.order_count));
                }
            }
            if let Some(last_cents) = update.last_price_cents {
                self.last_cents = Some(last_cents);
                self.reference_cents = Some(last_cents);
            }
        }
        applied
    }

    /// Takes a change of status.
    pub fn status_change(&mut self, change: &InstrumentStatusChange) -> Applied {
        let applied = self.advance(change.sequence, change.occurred_us);
        if applied == Applied::Yes {
            self.status = Some(change.status);
        }
        applied
    }

    fn advance(&mut self, sequence: i64, occurred_us: i64) -> Applied {
        // Before the very first change every book is empty, so that change needs no snapshot.
        let next = sequence == self.sequence + 1 && (self.valid || sequence == 1);
        if next {
            self.valid = true;
            self.sequence = sequence;
            self.updated_us = occurred_us;
            Applied::Yes
        } else if self.valid && sequence <= self.sequence {
            Applied::Old
        } else {
            self.valid = false;
            Applied::Gap
        }
    }

    /// Notes that increments may have been missed: only a snapshot makes the book valid again.
    pub fn distrust(&mut self) {
        self.valid = false;
    }

    /// Whether the levels are those of the sequence number.
    pub fn is_valid(&self) -> bool {
        self.valid
    }

    /// How many snapshots the book was made from, one after the other.
    pub fn snapshots(&self) -> u64 {
        self.snapshots
    }

    /// The number of the last change that is included.
    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    /// Best bid and ask, cents; a crossed book has neither. A book may be crossed while orders are
    /// collected: an auction will set the price, and nobody can trade at the prices in the book.
    pub fn best(&self) -> (Option<i64>, Option<i64>) {
        let bid = self.bids.keys().next_back().copied();
        let ask = self.asks.keys().next().copied();
        match bid.zip(ask) {
            Some((bid, ask)) if bid >= ask => (None, None),
            _ => (bid, ask),
        }
    }

    /// Bids, highest first: price, shares, orders.
    pub fn bids(&self) -> impl Iterator<Item = (i64, i64, i32)> {
        self.bids
            .iter()
            .rev()
            .map(|(price, (quantity, orders))| (*price, *quantity, *orders))
    }

    /// Asks, lowest first: price, shares, orders.
    pub fn asks(&self) -> impl Iterator<Item = (i64, i64, i32)> {
        self.asks
            .iter()
            .map(|(price, (quantity, orders))| (*price, *quantity, *orders))
    }

    /// The status, once it is known.
    pub fn status(&self) -> Option<InstrumentStatus> {
        self.status
    }

    /// The price of the last trade.
    pub fn last_cents(&self) -> Option<i64> {
        self.last_cents
    }

    /// The last trade, or the listed reference before the first.
    pub fn reference_cents(&self) -> Option<i64> {
        self.reference_cents
    }

    /// When it last changed, microseconds since the epoch.
    pub fn updated_us(&self) -> i64 {
        self.updated_us
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_schemas::{LevelChange, Symbol};

    use super::*;

    fn snapshot(sequence: i64, bid: i64) -> BookSnapshot {
        BookSnapshot {
            symbol: Symbol::new("AAPL").unwrap(),
            sequence,
            bids: vec![Level {
                price_cents: bid,
                quantity: 10,
                order_count: 1,
            }],
            asks: vec![],
            complete: true,
            last_price_cents: None,
            reference_price_cents: 100,
            status: InstrumentStatus::Open,
            occurred_us: 1,
        }
    }

    fn update(sequence: i64, price_cents: i64, quantity: i64, last_price_cents: Option<i64>) -> BookUpdate {
        BookUpdate {
            symbol: Symbol::new("AAPL").unwrap(),
            sequence,
            changes: vec![LevelChange {
                side: Side::Buy,
                price_cents,
                quantity,
                order_count: 1,
            }],
            last_price_cents,
            occurred_us: 2,
        }
    }

    #[test]
    fn increments_continue_from_a_snapshot() {
        let mut book = Book::default();
        assert_eq!(book.update(&update(5, 99, 1, None)), Applied::Gap, "no snapshot yet");
        book.snapshot(&snapshot(5, 100));
        assert_eq!(book.update(&update(5, 99, 1, None)), Applied::Old);
        assert_eq!(book.update(&update(6, 101, 3, None)), Applied::Yes);
        assert_eq!(book.best(), (Some(101), None));
        assert_eq!(book.update(&update(7, 101, 0, Some(101))), Applied::Yes);
        assert_eq!(book.best(), (Some(100), None));
        assert_eq!((book.last_cents(), book.reference_cents()), (Some(101), Some(101)));
        book.snapshot(&snapshot(6, 50));
        assert_eq!(book.best(), (Some(100), None), "an older snapshot changes nothing");
    }

    #[test]
    fn a_crossed_book_has_no_best_prices() {
        let mut book = Book::default();
        let mut halted = snapshot(5, 100);
        halted.status = InstrumentStatus::Halted;
        for (ask, best) in [(99, (None, None)), (100, (None, None)), (101, (Some(100), Some(101)))] {
            halted.asks = vec![Level {
                price_cents: ask,
                quantity: 1,
                order_count: 1,
            }];
            book.snapshot(&halted);
            assert_eq!(book.best(), best, "{ask}");
            assert_eq!(book.asks().count(), 1, "the levels are shown as they are");
        }
    }

    #[test]
    fn after_a_gap_a_book_waits_for_a_snapshot() {
        let mut book = Book::default();
        assert_eq!(
            book.update(&update(1, 100, 1, None)),
            Applied::Yes,
            "the very first change"
        );
        assert_eq!(book.update(&update(3, 99, 1, None)), Applied::Gap);
        assert!(!book.is_valid());
        assert_eq!(book.update(&update(4, 98, 1, None)), Applied::Gap);
        book.snapshot(&snapshot(4, 97));
        assert!(book.is_valid());
        assert_eq!(book.best(), (Some(97), None));
    }
}
