//! The readers of `instruments` and `market-data`.

use std::sync::Arc;
use std::time::Duration;

use brokerx_schemas::{InstrumentEvent, MarketData};
use brokerx_topics::machine::Verdict;
use brokerx_topics::service::Check;

use super::Market;
use super::book::{Applied, Book};
use crate::kafka::{Record, Sequences, Sink};
use crate::telemetry::MarketMetrics;

/// Beyond the snapshot cycle, how far back `market-data` is read at the start.
pub const SNAPSHOT_CYCLE_MARGIN: Duration = Duration::from_secs(3);

/// Keeps the instruments. The topic is compacted: the version of an instrument orders its records.
pub struct InstrumentFeed {
    market: Arc<Market>,
    check: Check,
}

impl InstrumentFeed {
    /// Keeps the instruments of `market`; sets `check` once all of them were read.
    pub fn new(market: Arc<Market>, check: Check) -> Self {
        Self { market, check }
    }
}

impl Sink<InstrumentEvent> for InstrumentFeed {
    fn started(&mut self, _partitions: &[i32]) {}

    fn record(&mut self, record: Record<InstrumentEvent>) {
        if let InstrumentEvent::Instrument(instrument) = record.message {
            self.market.learn(instrument);
        }
    }

    fn caught_up(&mut self, _partition: i32) {
        self.check.set(true, "all instruments were read");
    }
}

/// Keeps the books and heartbeats.
pub struct MarketFeed {
    market: Arc<Market>,
    sequences: Sequences,
    check: Check,
    complete: bool,
    metrics: MarketMetrics,
}

impl MarketFeed {
    /// Keeps the books of `market`; sets `check` once every book was seen in a snapshot.
    pub fn new(market: Arc<Market>, check: Check, metrics: MarketMetrics) -> Self {
        Self {
            market,
            sequences: Sequences::default(),
            check,
            complete: false,
            metrics,
        }
    }

    fn apply(&mut self, partition: i32, message: MarketData) {
        let mut state = self.market.write();
        let applied = match message {
            MarketData::Heartbeat(heartbeat) => {
                if let Some(last) = state.heartbeats.get_mut(partition as usize) {
                    *last = Some(heartbeat);
                }
                return;
            }
            MarketData::BookSnapshot(snapshot) => {
                if let Some(seen) = state.snapshots.get_mut(partition as usize) {
                    seen.insert(snapshot.symbol);
                }
                state.books.entry(snapshot.symbol).or_default().snapshot(&snapshot);
                return;
            }
            MarketData::BookUpdate(update) => state.books.entry(update.symbol).or_default().update(&update),
            MarketData::InstrumentStatusChange(change) => {
                state.books.entry(change.symbol).or_default().status_change(&change)
            }
            // Candles, or a kind of a newer matcher: nothing that is kept here.
            MarketData::CandleUpdate(_) | MarketData::Unknown => return,
        };
        if applied == Applied::Gap && self.complete {
            self.metrics.gaps.inc();
        }
    }
}

impl Sink<MarketData> for MarketFeed {
    fn started(&mut self, partitions: &[i32]) {
        self.sequences.clear();
        let mut state = self.market.write();
        state.heartbeats = vec![None; partitions.len()];
        state.snapshots = vec![Default::default(); partitions.len()];
        // What was missed is unknown: each book begins anew with its next snapshot, its prices stay.
        state.books.values_mut().for_each(Book::distrust);
    }

    fn record(&mut self, record: Record<MarketData>) {
        match record.identity.map(|identity| self.sequences.judge(&identity)) {
            Some(Verdict::Duplicate) => {
                self.metrics.duplicates.inc();
                return;
            }
            // The sender starts over from before the hole.
            Some(Verdict::Hole { .. }) => {
                self.metrics.holes.inc();
                return;
            }
            Some(Verdict::Next) | None => {}
        }
        self.metrics.records.inc();
        self.apply(record.partition, record.message);
        if !self.complete && self.market.is_complete() {
            self.complete = true;
            self.check.set(true, "every book was seen");
        }
    }

    fn caught_up(&mut self, _partition: i32) {}
}
