//! Candles: what traded per second, minute, five minutes, hour and day of machine time.
//!
//! Trades only touch the candle of the second. When it is over it is added to the longer ones, and all
//! of them are published: those that are over as closed, the others as they stand. A candle closes on
//! the first tick at or after its end, or with a trade of a later second, whatever comes first; a
//! symbol that does not trade has none.

use brokerx_schemas::{Candle, CandleInterval};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

const SECOND_MS: i64 = 1_000;
const LONGER: [CandleInterval; 4] = [
    CandleInterval::Minute,
    CandleInterval::FiveMinutes,
    CandleInterval::Hour,
    CandleInterval::Day,
];

/// A candle that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bar {
    start_ms: i64,
    open_cents: i64,
    high_cents: i64,
    low_cents: i64,
    close_cents: i64,
    volume: i64,
    trade_count: i64,
}

impl Bar {
    /// Adds what traded later.
    fn add(&mut self, later: &Self) {
        self.high_cents = self.high_cents.max(later.high_cents);
        self.low_cents = self.low_cents.min(later.low_cents);
        self.close_cents = later.close_cents;
        self.volume = self.volume.saturating_add(later.volume);
        self.trade_count = self.trade_count.saturating_add(later.trade_count);
    }

    fn candle(&self, interval: CandleInterval, closed: bool) -> Candle {
        Candle {
            interval,
            start_us: self.start_ms * 1_000,
            open_cents: self.open_cents,
            high_cents: self.high_cents,
            low_cents: self.low_cents,
            close_cents: self.close_cents,
            volume: self.volume,
            trade_count: self.trade_count,
            closed,
        }
    }

    fn words(&self) -> [i64; 7] {
        [
            self.start_ms,
            self.open_cents,
            self.high_cents,
            self.low_cents,
            self.close_cents,
            self.volume,
            self.trade_count,
        ]
    }
}

fn start_of(time_ms: i64, interval: CandleInterval) -> i64 {
    let length_ms = interval.seconds() * 1_000;
    time_ms - time_ms.rem_euclid(length_ms)
}

/// The candles of one symbol that are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Candles {
    second: Option<Bar>,
    longer: [Option<Bar>; 4],
}

impl Candles {
    /// Adds a trade. When it is of a later second than the trades before it, returns the candles
    /// that are over by that.
    pub fn trade(&mut self, now_ms: i64, price_cents: i64, quantity: i64) -> Vec<Candle> {
        let start_ms = start_of(now_ms, CandleInterval::Second);
        let trade = Bar {
            start_ms,
            open_cents: price_cents,
            high_cents: price_cents,
            low_cents: price_cents,
            close_cents: price_cents,
            volume: quantity,
            trade_count: 1,
        };
        match &mut self.second {
            Some(second) if second.start_ms == start_ms => {
                second.add(&trade);
                Vec::new()
            }
            _ => {
                let over = self.close(now_ms);
                self.second = Some(trade);
                over
            }
        }
    }

    /// Closes what is over by a time. Empty when nothing is.
    pub fn close(&mut self, now_ms: i64) -> Vec<Candle> {
        let second = self.second.take_if(|second| second.start_ms + SECOND_MS <= now_ms);
        let mut candles = Vec::new();
        candles.extend(second.map(|second| second.candle(CandleInterval::Second, true)));
        for (interval, bar) in LONGER.into_iter().zip(&mut self.longer) {
            let end_ms = |bar: &Bar| bar.start_ms + interval.seconds() * 1_000;
            let mut grew = false;
            if let Some(second) = &second {
                let start_ms = start_of(second.start_ms, interval);
                let before = bar.take_if(|bar| bar.start_ms != start_ms);
                candles.extend(before.map(|before| before.candle(interval, true)));
                match bar {
                    Some(bar) => bar.add(second),
                    None => *bar = Some(Bar { start_ms, ..*second }),
                }
                grew = true;
            }
            match bar.take_if(|bar| end_ms(bar) <= now_ms) {
                Some(over) => candles.push(over.candle(interval, true)),
                None => candles.extend(bar.filter(|_| grew).map(|bar| bar.candle(interval, false))),
            }
        }
        candles
    }

    /// When the next candle is over.
    pub fn deadline_ms(&self) -> Option<i64> {
        let second = self.second.map(|second| second.start_ms + SECOND_MS);
        let longer = LONGER.into_iter().zip(&self.longer);
        let longer = longer.filter_map(|(interval, bar)| bar.map(|bar| bar.start_ms + interval.seconds() * 1_000));
        second.into_iter().chain(longer).min()
    }

    pub fn hash(&self) -> u64 {
        if self.second.is_none() && self.longer.iter().all(Option::is_none) {
            return 0;
        }
        let mut bytes = [0_u8; 5 * 7 * 8];
        let bars = [self.second].into_iter().chain(self.longer);
        for (chunk, bar) in bytes.chunks_exact_mut(56).zip(bars) {
            let words = bar.map_or([-1; 7], |bar| bar.words());
            for (place, word) in chunk.chunks_exact_mut(8).zip(words) {
                place.copy_from_slice(&word.to_le_bytes());
            }
        }
        xxh3_64(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(candles: &[Candle]) -> Vec<(CandleInterval, i64, [i64; 6], bool)> {
        let short = |candle: &Candle| {
            let numbers = [
                candle.open_cents,
                candle.high_cents,
                candle.low_cents,
                candle.close_cents,
                candle.volume,
                candle.trade_count,
            ];
            (candle.interval, candle.start_us / 1_000_000, numbers, candle.closed)
        };
        candles.iter().map(short).collect()
    }

    #[test]
    fn a_second_closes_and_the_longer_ones_grow() {
        use CandleInterval::{Day, FiveMinutes, Hour, Minute, Second};
        let mut candles = Candles::default();
        assert_eq!(candles.deadline_ms(), None);
        for (time_ms, price, quantity) in [(59_100, 10, 5), (59_200, 12, 1), (59_999, 9, 2)] {
            assert_eq!(candles.trade(time_ms, price, quantity), []);
        }
        assert_eq!(candles.deadline_ms(), Some(60_000));
        assert_eq!(candles.close(59_999), []);
        let numbers = [10, 12, 9, 9, 8, 3];
        // The minute ends with its last second.
        assert_eq!(
            short(&candles.close(60_000)),
            [
                (Second, 59, numbers, true),
                (Minute, 0, numbers, true),
                (FiveMinutes, 0, numbers, false),
                (Hour, 0, numbers, false),
                (Day, 0, numbers, false),
            ]
        );
        // A trade of a later second closes what no tick has closed.
        assert_eq!(candles.trade(61_000, 20, 1), []);
        let over = candles.trade(400_500, 30, 1);
        assert_eq!(
            short(&over),
            [
                (Second, 61, [20, 20, 20, 20, 1, 1], true),
                (Minute, 60, [20, 20, 20, 20, 1, 1], true),
                (FiveMinutes, 0, [10, 20, 9, 20, 9, 4], true),
                (Hour, 0, [10, 20, 9, 20, 9, 4], false),
                (Day, 0, [10, 20, 9, 20, 9, 4], false),
            ]
        );
        // A gap of days: everything closes once, and then there is nothing.
        let closed = candles.close(1_000_000_000);
        assert_eq!(closed.len(), 5);
        assert!(closed.iter().all(|candle| candle.closed));
        assert_eq!(closed[4].volume, 10);
        assert_eq!((candles.deadline_ms(), candles.hash()), (None, 0));
    }
}
