//! Candles, all that is projected of `market-data`.

use std::collections::BTreeMap;

use brokerx_schemas::{Candle, CandleInterval, CandleUpdate, MarketData, MarketDataKind, Message, Symbol};
use serde::{Deserialize, Serialize};

/// What identifies a candle: its symbol, its interval and where it begins.
pub(super) type CandleKey = (Symbol, CandleInterval, i64);

/// A record of `market-data` in which only candles are decoded: there is one for each change of a
/// book, and what else it holds is skipped over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CandleRecord {
    kind: MarketDataKind,
    /// The first writers did not know this field.
    #[serde(default)]
    candle_update: Option<CandleUpdate>,
}

impl Message for CandleRecord {
    const TOPIC: &'static str = MarketData::TOPIC;
    const SCHEMA: &'static str = MarketData::SCHEMA;
}

/// Why the candles of a record cannot be projected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// The kind and what is present disagree.
    Contradiction,
    /// A candle has an interval that this build does not know.
    UnknownInterval,
}

impl CandleRecord {
    /// The candles; none in a record about something else, or of a kind that this build does not
    /// know.
    pub(super) fn candles(self) -> Result<Option<CandleUpdate>, Unusable> {
        if (self.kind == MarketDataKind::CandleUpdate) != self.candle_update.is_some() {
            return Err(Unusable::Contradiction);
        }
        let is_unknown = |candle: &Candle| candle.interval == CandleInterval::Unknown;
        match self.candle_update {
            Some(update) if update.candles.iter().any(is_unknown) => Err(Unusable::UnknownInterval),
            update => Ok(update),
        }
    }
}

/// Enters the candles of a record, with where it stands; of several records about one candle the last counts.
pub(super) fn enter<O: Copy>(candles: &mut BTreeMap<CandleKey, (O, Candle)>, origin: O, update: &CandleUpdate) {
    for candle in &update.candles {
        candles.insert((update.symbol, candle.interval, candle.start_us), (origin, *candle));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use brokerx_schemas::Heartbeat;
    use brokerx_topics::codec::Codec;

    use super::*;

    fn update(trade_count: i64, interval: CandleInterval) -> CandleUpdate {
        let candle = Candle {
            interval,
            start_us: 60_000_000,
            open_cents: 100,
            high_cents: 110,
            low_cents: 90,
            close_cents: 105,
            volume: 10 * trade_count,
            trade_count,
            closed: false,
        };
        CandleUpdate {
            symbol: Symbol::new("AAPL").unwrap(),
            candles: vec![candle],
            occurred_us: 61_000_000,
        }
    }

    fn read(record: &MarketData) -> CandleRecord {
        let codec = Codec::detached();
        let mut bytes = Vec::new();
        codec.encode(record, &mut bytes).unwrap();
        codec.decode(&bytes).unwrap()
    }

    #[test]
    fn of_market_data_only_candles_are_read() {
        let minute = update(1, CandleInterval::Minute);
        let record = MarketData::CandleUpdate(minute.clone());
        assert_eq!(read(&record).candles(), Ok(Some(minute)));
        let heartbeat = MarketData::Heartbeat(Heartbeat {
            partition: 1,
            second: 2,
            instruments: 3,
        });
        assert_eq!(read(&heartbeat).candles(), Ok(None));
        for (json, expected) in [
            (r#"{"kind": "SOMETHING_NEW", "something_new": {"a": [1]}}"#, Ok(None)),
            (r#"{"kind": "CANDLE_UPDATE"}"#, Err(Unusable::Contradiction)),
        ] {
            assert_eq!(serde_json::from_str::<CandleRecord>(json).unwrap().candles(), expected);
        }
    }

    #[test]
    fn an_interval_of_another_build_is_not_left_out_in_silence() {
        let record = CandleRecord {
            kind: MarketDataKind::CandleUpdate,
            candle_update: Some(update(1, CandleInterval::Unknown)),
        };
        assert_eq!(record.candles(), Err(Unusable::UnknownInterval));
    }

    #[test]
    fn the_last_record_about_a_candle_counts() {
        let mut candles = BTreeMap::new();
        enter(&mut candles, 1, &update(1, CandleInterval::Minute));
        enter(&mut candles, 2, &update(1, CandleInterval::Day));
        enter(&mut candles, 3, &update(2, CandleInterval::Minute));
        let counts: Vec<_> = candles
            .iter()
            .map(|((_, interval, _), (origin, candle))| (*interval, candle.trade_count, *origin))
            .collect();
        assert_eq!(counts, [(CandleInterval::Minute, 2, 3), (CandleInterval::Day, 1, 2)]);
    }
}
