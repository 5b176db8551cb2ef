//! The readers of `instruments`, `market-data` and `trades`.

use std::sync::Arc;

use brokerx_ingress::kafka::{Record, Sequences, Sink};
use brokerx_ingress::market::Applied;
use brokerx_schemas::{InstrumentEvent, MarketData, Message, TradeEvent};
use brokerx_topics::machine::{Identity, Verdict};
use brokerx_topics::service::Check;

use super::Market;
use crate::telemetry::ReadMetrics;

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
        self.market.instruments_complete();
        self.check.set(true, "all instruments were read");
    }
}

/// Keeps the books and passes the candles on.
pub struct BookFeed {
    market: Arc<Market>,
    sources: Sources,
    check: Check,
    metrics: ReadMetrics,
}

impl BookFeed {
    /// Keeps the books of `market`; sets `check` once reading has begun.
    pub fn new(market: Arc<Market>, check: Check, metrics: ReadMetrics) -> Self {
        Self {
            market,
            sources: Sources::new(MarketData::TOPIC, metrics.clone()),
            check,
            metrics,
        }
    }
}

impl Sink<MarketData> for BookFeed {
    fn started(&mut self, partitions: &[i32]) {
        self.sources.clear();
        self.market.restart(partitions.len());
    }

    fn record(&mut self, record: Record<MarketData>) {
        if !self.sources.is_next(record.identity.as_ref()) {
            return;
        }
        let (applied, occurred_us) = match &record.message {
            MarketData::Heartbeat(heartbeat) => return self.market.heartbeat(*heartbeat, record.partition as usize),
            MarketData::BookSnapshot(snapshot) => return self.market.book_snapshot(snapshot),
            MarketData::CandleUpdate(update) => {
                self.metrics.read(MarketData::TOPIC, update.occurred_us);
                return self.market.candle_update(update);
            }
            MarketData::BookUpdate(update) => (self.market.book_update(update), update.occurred_us),
            MarketData::InstrumentStatusChange(change) => (self.market.status_change(change), change.occurred_us),
            // A kind of a newer matcher: nothing that is told here.
            MarketData::Unknown => return,
        };
        self.metrics.read(MarketData::TOPIC, occurred_us);
        if applied == Applied::Gap {
            self.metrics.book_gaps.inc();
        }
    }

    fn caught_up(&mut self, _partition: i32) {
        self.check.set(true, "books are read");
    }
}

/// Passes the trades on.
pub struct TradeFeed {
    market: Arc<Market>,
    sources: Sources,
    check: Check,
    metrics: ReadMetrics,
}

impl TradeFeed {
    /// Tells the listeners of `market`; sets `check` once reading has begun.
    pub fn new(market: Arc<Market>, check: Check, metrics: ReadMetrics) -> Self {
        Self {
            market,
            sources: Sources::new(TradeEvent::TOPIC, metrics.clone()),
            check,
            metrics,
        }
    }
}

impl Sink<TradeEvent> for TradeFeed {
    fn started(&mut self, _partitions: &[i32]) {
        self.sources.clear();
    }

    fn record(&mut self, record: Record<TradeEvent>) {
        if let TradeEvent::Trade(trade) = &record.message
            && self.sources.is_next(record.identity.as_ref())
        {
            self.metrics.read(TradeEvent::TOPIC, trade.executed_us);
            self.market.trade(trade);
        }
    }

    fn caught_up(&mut self, _partition: i32) {
        self.check.set(true, "trades are read");
    }
}

/// Tells duplicates. A book partition writes to the partition of its own number only, so a source
/// names an edge.
struct Sources {
    topic: &'static str,
    sequences: Sequences,
    metrics: ReadMetrics,
}

impl Sources {
    fn new(topic: &'static str, metrics: ReadMetrics) -> Self {
        Self {
            topic,
            sequences: Sequences::default(),
            metrics,
        }
    }

    fn clear(&mut self) {
        self.sequences.clear();
    }

    fn is_next(&mut self, identity: Option<&Identity>) -> bool {
        match identity.map(|identity| self.sequences.judge(identity)) {
            Some(Verdict::Duplicate) => self.metrics.duplicate(self.topic),
            // The sender starts over from before the hole.
            Some(Verdict::Hole { .. }) => self.metrics.hole(self.topic),
            Some(Verdict::Next) | None => return true,
        }
        false
    }
}
