//! Candles in JSON, and what their intervals are called.

use brokerx_schemas::{Candle, CandleInterval};
use serde::Serialize;

use crate::Cents;
use crate::time::rfc3339;

const INTERVALS: [(&str, CandleInterval); 5] = [
    ("1s", CandleInterval::Second),
    ("1m", CandleInterval::Minute),
    ("5m", CandleInterval::FiveMinutes),
    ("1h", CandleInterval::Hour),
    ("1d", CandleInterval::Day),
];

/// The interval of a name such as `5m`.
pub fn interval_of(name: &str) -> Option<CandleInterval> {
    let mut intervals = INTERVALS.into_iter();
    intervals
        .find(|(known, _)| *known == name)
        .map(|(_, interval)| interval)
}

/// The name of an interval; `unknown` for one that this build does not know.
pub fn interval_name(interval: CandleInterval) -> &'static str {
    let mut intervals = INTERVALS.into_iter();
    intervals
        .find(|(_, known)| *known == interval)
        .map_or("unknown", |(name, _)| name)
}

/// A candle. It does not repeat its symbol, which whoever shows it has named already.
#[derive(Debug, Serialize)]
pub struct CandleBody {
    interval: &'static str,
    start: String,
    open: Cents,
    high: Cents,
    low: Cents,
    close: Cents,
    volume: i64,
    trade_count: i64,
    closed: bool,
}

impl From<&Candle> for CandleBody {
    fn from(candle: &Candle) -> Self {
        Self {
            interval: interval_name(candle.interval),
            start: rfc3339(candle.start_us),
            open: Cents(candle.open_cents),
            high: Cents(candle.high_cents),
            low: Cents(candle.low_cents),
            close: Cents(candle.close_cents),
            volume: candle.volume,
            trade_count: candle.trade_count,
            closed: candle.closed,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_interval_has_one_name() {
        for (name, interval) in INTERVALS {
            assert_eq!((interval_of(name), interval_name(interval)), (Some(interval), name));
        }
        for bad in ["", "1", "1M", "60s", "unknown", "MINUTE"] {
            assert_eq!(interval_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_candle_shows_prices_as_decimals_and_its_start_as_a_time() {
        let candle = Candle {
            interval: CandleInterval::FiveMinutes,
            start_us: 1_893_553_200_000_000,
            open_cents: 18_550,
            high_cents: 18_600,
            low_cents: 18_549,
            close_cents: 18_560,
            volume: 60,
            trade_count: 3,
            closed: true,
        };
        assert_eq!(
            serde_json::to_value(CandleBody::from(&candle)).unwrap(),
            json!({
                "interval": "5m", "start": "2030-01-02T03:00:00.000000Z", "open": "185.50", "high": "186.00",
                "low": "185.49", "close": "185.60", "volume": 60, "trade_count": 3, "closed": true
            })
        );
    }
}
