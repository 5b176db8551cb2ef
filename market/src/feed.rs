//! The readers of `instruments` and `market-data`.

use std::sync::Arc;
use std::time::Duration;

use brokerx_schemas::{InstrumentEvent, MarketData, Message};
use brokerx_topics::reader::{ReadMetrics, Record, Sink};
use brokerx_topics::service::{Check, Metrics};
use prometheus_client::metrics::counter::Counter;

use crate::book::Applied;
use crate::keeper::Keeper;

/// At the start `market-data` is read from one snapshot cycle and this margin ago.
pub const SNAPSHOT_CYCLE_MARGIN: Duration = Duration::from_secs(3);

/// Reads the instruments. The topic is compacted, so an instrument's version says which record is newer.
pub struct InstrumentFeed<K> {
    keeper: Arc<K>,
    check: Check,
}

impl<K: Keeper> InstrumentFeed<K> {
    /// Reads the instruments into `keeper`; sets `check` once all of them were read.
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

/// What is counted about the market: `brokerx_market_*`.
#[derive(Clone, Debug, Default)]
pub struct MarketMetrics {
    book_gaps: Counter,
}

impl MarketMetrics {
    /// Registers the counters.
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
    /// Once every book was seen: for a process that is asked about any symbol at any time.
    EveryBook,
    /// Once the log is read to its end: for a process that passes each book on when it comes.
    CaughtUp,
}

/// Reads the books and heartbeats.
pub struct MarketFeed<K> {
    keeper: Arc<K>,
    check: Check,
    readiness: Readiness,
    complete: bool,
    reading: ReadMetrics,
    metrics: MarketMetrics,
}

impl<K: Keeper> MarketFeed<K> {
    /// Reads the books into `keeper`; sets `check` when `readiness` says so.
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
        // Reading starts in the middle of the log: until every book was seen, a gap is no loss.
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

/// When the change happened that a record reports; none for a record that only repeats the current state.
fn occurred_us(message: &MarketData) -> Option<i64> {
    match message {
        MarketData::BookUpdate(update) => Some(update.occurred_us),
        MarketData::InstrumentStatusChange(change) => Some(change.occurred_us),
        MarketData::CandleUpdate(update) => Some(update.occurred_us),
        MarketData::BookSnapshot(_) | MarketData::Heartbeat(_) | MarketData::Unknown => None,
    }
}
