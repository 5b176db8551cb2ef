//! Records on their way into one database transaction.

use std::collections::BTreeMap;

use brokerx_schemas::{AccountEvent, AuthEvent, Candle, MarketData, Message, Trade, TradeEvent};
use brokerx_topics::catalogue::{self, Retention};
use brokerx_topics::machine::is_of_its_topic;

use super::candles::CandleKey;
use super::rows::JsonText;
use super::tables::Auth;

/// The logs that are projected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Log {
    AccountEvents,
    Trades,
    Auth,
    MarketData,
}

impl Log {
    pub(super) const ALL: [Self; 4] = [Self::AccountEvents, Self::Trades, Self::Auth, Self::MarketData];

    pub(super) fn topic(self) -> &'static str {
        match self {
            Self::AccountEvents => AccountEvent::TOPIC,
            Self::Trades => TradeEvent::TOPIC,
            Self::Auth => AuthEvent::TOPIC,
            Self::MarketData => MarketData::TOPIC,
        }
    }

    pub(super) fn of_topic(topic: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|log| log.topic() == topic)
    }

    /// Whether the worker that a record names is one who writes the log.
    pub(super) fn is_written_by(self, source: Option<&[u8]>) -> bool {
        match self {
            Self::AccountEvents => is_of_its_topic::<AccountEvent>(source),
            Self::Trades => is_of_its_topic::<TradeEvent>(source),
            Self::Auth => is_of_its_topic::<AuthEvent>(source),
            Self::MarketData => is_of_its_topic::<MarketData>(source),
        }
    }

    /// Whether the log loses its oldest records in time, so that it may begin anywhere.
    pub(super) fn forgets(self) -> bool {
        catalogue::topic(self.topic()).retention != Retention::Unlimited
    }
}

/// A partition of a log.
pub(super) type LogPartition = (Log, i32);

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) partition: LogPartition,
    pub(super) offset: i64,
}

/// How far a partition is, before and after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Advance {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// Records that become one transaction: what they say, and how far they bring each partition.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) advances: BTreeMap<LogPartition, Advance>,
    /// The last number of each worker that wrote.
    pub(super) sources: BTreeMap<(LogPartition, String), i64>,
    pub(super) events: Vec<(AccountEvent, JsonText)>,
    pub(super) trades: Vec<(Origin, Trade)>,
    pub(super) auth: Vec<(Origin, Auth)>,
    /// The last of several records about one candle.
    pub(super) candles: BTreeMap<CandleKey, (Origin, Candle)>,
    /// Append time of the newest record, milliseconds since the epoch.
    pub(super) newest_ms: i64,
    /// Roughly the bytes that it holds.
    pub(super) bytes: usize,
    pub(super) records: usize,
}

impl Batch {
    /// Nothing in it: not even a position moved.
    pub(super) fn is_empty(&self) -> bool {
        self.advances.is_empty()
    }

    /// Whether there is more to write than positions.
    pub(super) fn has_rows(&self) -> bool {
        !(self.events.is_empty() && self.trades.is_empty() && self.auth.is_empty() && self.candles.is_empty())
    }

    /// Over how many offsets it moves the positions: those of its records, and those that hold none.
    pub(super) fn span(&self) -> i64 {
        self.advances.values().map(|advance| advance.to - advance.from).sum()
    }

    /// Counts a record, whatever became of it.
    pub(super) fn advance(&mut self, partition: LogPartition, offset: i64, appended_ms: i64) {
        let to = offset + 1;
        self.pass_over(partition, Advance { from: offset, to });
        self.newest_ms = self.newest_ms.max(appended_ms);
        self.records += 1;
    }

    /// Moves a partition on over offsets that hold no record; they follow those that it has passed.
    pub(super) fn pass_over(&mut self, partition: LogPartition, over: Advance) {
        let advance = self.advances.entry(partition).or_insert(over);
        advance.to = over.to;
    }
}
