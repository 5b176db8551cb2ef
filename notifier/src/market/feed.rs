//! The reader of `trades`. The readers of `instruments` and `market-data` come from the crate `market`.

use std::sync::Arc;

use brokerx_schemas::{Message, TradeEvent};
use brokerx_topics::reader::{ReadMetrics, Record, Sink};
use brokerx_topics::service::Check;

use super::state::Market;

/// Passes the trades on.
pub struct TradeFeed {
    market: Arc<Market>,
    check: Check,
    metrics: ReadMetrics,
}

impl TradeFeed {
    /// Tells the listeners of `market`; sets `check` once reading has begun.
    pub fn new(market: Arc<Market>, check: Check, metrics: ReadMetrics) -> Self {
        Self { market, check, metrics }
    }
}

impl Sink<TradeEvent> for TradeFeed {
    fn started(&mut self, _partitions: &[i32]) {}

    fn record(&mut self, record: Record<TradeEvent>) {
        if let TradeEvent::Trade(trade) = &record.message {
            self.metrics.lag(TradeEvent::TOPIC, trade.executed_us);
            self.market.trade(trade);
        }
    }

    fn caught_up(&mut self, _partition: i32) {
        self.check.set(true, "trades are read");
    }
}
