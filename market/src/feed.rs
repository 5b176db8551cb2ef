//! The one feed of the market: the readers of `instruments` and `market-data`.

use std::sync::Arc;
use std::time::Duration;

use brokerx_schemas::{InstrumentEvent, MarketData, Message};
use brokerx_topics::reader::{Numbering, ReadMetrics, Readers, Record, Sink, Start};
use brokerx_topics::service::{Check, Health, Metrics};
use prometheus_client::metrics::counter::Counter;

use crate::book::Applied;
use crate::keeper::Keeper;
use crate::options::MarketOptions;

/// At the start `market-data` is read from one snapshot cycle and this margin ago.
const SNAPSHOT_CYCLE_MARGIN: Duration = Duration::from_secs(3);
/// How long the broker may gather market data before it answers: a quote or a reference price may be that
/// late.
const GATHER: Duration = Duration::from_millis(20);

/// Starts the readers of both topics. The checks `instruments` and `market-data` hold once all
/// instruments were read, and when `readiness` says so.
///
/// # Errors
/// When the system gives no thread.
///
/// # Panics
/// Outside of a Tokio runtime.
pub fn spawn<K: Keeper>(
    keeper: &Arc<K>,
    options: &MarketOptions,
    readiness: Readiness,
    readers: &Readers,
    health: &Health,
    metrics: &mut Metrics,
) -> std::io::Result<()> {
    let instruments = InstrumentFeed {
        keeper: Arc::clone(keeper),
        check: health.add("instruments"),
    };
    readers
        .from(Start::Beginning)
        // The topic is compacted: the version of an instrument orders its records.
        .numbering(Numbering::Ignored)
        .spawn(instruments)?;
    let books = MarketFeed {
        keeper: Arc::clone(keeper),
        check: health.add("market-data"),
        readiness,
        complete: false,
        reading: readers.metrics.clone(),
        metrics: MarketMetrics::new(metrics),
    };
    readers
        .from(Start::Ago(options.snapshot_cycle() + SNAPSHOT_CYCLE_MARGIN))
        .gathering(GATHER)
        .spawn(books)?;
    Ok(())
}

/// Keeps the instruments.
struct InstrumentFeed<K> {
    keeper: Arc<K>,
    check: Check,
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
struct MarketMetrics {
    book_gaps: Counter,
}

impl MarketMetrics {
    fn new(registry: &mut Metrics) -> Self {
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
struct MarketFeed<K> {
    keeper: Arc<K>,
    check: Check,
    readiness: Readiness,
    complete: bool,
    reading: ReadMetrics,
    metrics: MarketMetrics,
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
