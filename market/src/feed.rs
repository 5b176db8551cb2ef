//! The readers of `instruments` and `market-data`.

use std::sync::Arc;
use std::time::Duration;

use brokerx_schemas::{InstrumentEvent, MarketData, Message};
use brokerx_topics::reader::{ReadMetrics, Record, Sink};
use brokerx_topics::service::{Check, Metrics};
use prometheus_client::metrics::counter::Counter;

use crate::book::Applied;
use crate::keeper::Keeper;

/// Beyond the snapshot cycle, how far back `market-data` is read at the start.
pub const SNAPSHOT_CYCLE_MARGIN: Duration = Duration::from_secs(3);

/// Keeps the instruments. The topic is compacted: the version of an instrument orders its records.
pub struct InstrumentFeed<K> {
    keeper: Arc<K>,
    check: Check,
}

impl<K: Keeper> InstrumentFeed<K> {
    /// Keeps the instruments of `keeper`; sets `check` once all of them were read.
    pub fn new(keeper: Arc<K>, check: Check) -> Self {
        Self { keeper, check }
    }
}

impl<K: Keeper> Sink<InstrumentEvent> for InstrumentFeed<K> {
    fn started(&mut self, _partitions: &[i32]) {}

    fn record(&mut self, record: Record<InstrumentEvent>) {
        if let InstrumentEvent::Instrument(instrument) = record.message {
            self.keeper.learn(instrument);
        }
    }

    fn caught_up(&mut self, _partition: i32) {
        self.keeper.instruments_read();
        self.check.set(true, "all instruments were read");
    }
}

/// What is counted of the market: `brokerx_market_*`.
#[derive(Clone, Debug, Default)]
pub struct MarketMetrics {
    book_gaps: Counter,
}

impl MarketMetrics {
    /// Registers them.
    pub fn new(registry: &mut Metrics) -> Self {
        let metrics = Self::default();
        registry.sub_registry_with_prefix("market").register(
            "book_gaps",
            "Books that lost an increment and waited for a snapshot",
            metrics.book_gaps.clone(),
        );
        metrics
    }
}

/// When a process that keeps the market is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Once every book was seen: for who must answer for each symbol.
    EveryBook,
    /// Once the log is read to its end: for who tells each book when it comes.
    CaughtUp,
}

/// Keeps the books and heartbeats.
pub struct MarketFeed<K> {
    keeper: Arc<K>,
    check: Check,
    readiness: Readiness,
    complete: bool,
    reading: ReadMetrics,
    metrics: MarketMetrics,
}

impl<K: Keeper> MarketFeed<K> {
    /// Keeps the books of `keeper`; sets `check` when `readiness` says so.
    pub fn new(
        keeper: Arc<K>,
        check: Check,
        readiness: Readiness,
        reading: ReadMetrics,
        metrics: MarketMetrics,
    ) -> Self {
        Self {
            keeper,
            check,
            readiness,
            complete: false,
            reading,
            metrics,
        }
    }
}

impl<K: Keeper> Sink<MarketData> for MarketFeed<K> {
    fn started(&mut self, partitions: &[i32]) {
        self.keeper.restart(partitions.len());
    }

    fn record(&mut self, record: Record<MarketData>) {
        if let Some(occurred_us) = occurred_us(&record.message) {
            self.reading.lag(MarketData::TOPIC, occurred_us);
        }
        let applied = self.keeper.take(record.partition as usize, &record.message);
        // Before every book was seen, none of them has lost anything.
        if applied == Some(Applied::Gap) && self.complete {
            self.metrics.book_gaps.inc();
        }
        if !self.complete && self.keeper.is_complete() {
            self.complete = true;
            if self.readiness == Readiness::EveryBook {
                self.check.set(true, "every book was seen");
            }
        }
    }

    fn caught_up(&mut self, _partition: i32) {
        if self.readiness == Readiness::CaughtUp {
            self.check.set(true, "books are read");
        }
    }
}

/// When that happened which a record tells of; none of what only repeats how things stand.
fn occurred_us(message: &MarketData) -> Option<i64> {
    match message {
        MarketData::BookUpdate(update) => Some(update.occurred_us),
        MarketData::InstrumentStatusChange(change) => Some(change.occurred_us),
        MarketData::CandleUpdate(update) => Some(update.occurred_us),
        MarketData::BookSnapshot(_) | MarketData::Heartbeat(_) | MarketData::Unknown => None,
    }
}
