//! Candles against their definition: all trades of an interval, put together anew.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::collections::BTreeMap;

use brokerx_schemas::*;
use brokerx_topics::machine::Emission;
use common::*;

type Name = (Symbol, CandleInterval, i64);

const INTERVALS: [CandleInterval; 5] = [
    CandleInterval::Second,
    CandleInterval::Minute,
    CandleInterval::FiveMinutes,
    CandleInterval::Hour,
    CandleInterval::Day,
];

/// What a reader keeps: the last record about each candle, and the trades to check it against.
#[derive(Default)]
struct Reader {
    candles: BTreeMap<Name, Candle>,
    trades: Vec<Trade>,
}

impl Reader {
    fn read(&mut self, emissions: &[Emission]) {
        for emission in emissions {
            match &emission.output.message {
                AnyMessage::TradeEvent(TradeEvent::Trade(trade)) => self.trades.push(*trade),
                AnyMessage::MarketData(MarketData::CandleUpdate(update)) => {
                    for candle in &update.candles {
                        let end_us = candle.start_us + candle.interval.seconds() * 1_000_000;
                        assert_eq!(
                            candle.closed,
                            end_us <= update.occurred_us,
                            "closed when its time is over"
                        );
                        let name = (update.symbol, candle.interval, candle.start_us);
                        let before = self.candles.insert(name, *candle);
                        assert!(
                            before.is_none_or(|before| !before.closed),
                            "nothing comes after the close"
                        );
                    }
                }
                _ => {}
            }
        }
    }

    /// The candles that the trades make.
    fn expected(&self) -> BTreeMap<Name, Candle> {
        let mut candles: BTreeMap<Name, Candle> = BTreeMap::new();
        for trade in &self.trades {
            for interval in INTERVALS {
                let length_us = interval.seconds() * 1_000_000;
                let start_us = trade.executed_us / length_us * length_us;
                let candle = candles.entry((trade.symbol, interval, start_us)).or_insert(Candle {
                    interval,
                    start_us,
                    open_cents: trade.price_cents,
                    high_cents: trade.price_cents,
                    low_cents: trade.price_cents,
                    close_cents: 0,
                    volume: 0,
                    trade_count: 0,
                    closed: true,
                });
                candle.high_cents = candle.high_cents.max(trade.price_cents);
                candle.low_cents = candle.low_cents.min(trade.price_cents);
                candle.close_cents = trade.price_cents;
                candle.volume += trade.quantity;
                candle.trade_count += 1;
            }
        }
        candles
    }
}

#[test]
fn candles_are_their_trades() {
    for seed in 0..20 {
        run(seed);
    }
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let mut desk = Desk::empty();
    let symbols = ["AAPL", "MSFT", "TSLA"].map(|name| Symbol::new(name).unwrap());
    for symbol in symbols {
        desk.feed(BookCommand::ListInstrument(ListInstrument { symbol, ..listing() }));
    }
    let mut reader = Reader::default();
    let mut last_second = 0;
    let longest_ms = random.pick(&[400, 3_000, 90_000, 10_000_000]);
    for order_id in 1..3_000 {
        desk.now_ms += random.between(0, longest_ms);
        let side = random.pick(&[Side::Buy, Side::Sell]);
        let price_cents = desk.matcher().reference_cents(symbols[0]).unwrap() + random.between(-3, 3);
        let quantity = random.between(1, 50);
        let account_id = random.between(1, 1_000);
        let order = NewOrder {
            symbol: random.pick(&symbols),
            ..limit(order_id, account_id, side, price_cents, quantity)
        };
        reader.read(&desk.feed(BookCommand::NewOrder(order)));
        // Ticks do not come every second, nor right on the second.
        let second = desk.now_ms / 1_000;
        if second > last_second && random.chance(40) {
            last_second = second;
            reader.read(&desk.feed(BookCommand::Tick(Tick { second })));
        }
        if random.chance(1) {
            desk.restore();
        }
    }
    desk.now_ms += 2 * 86_400_000;
    reader.read(&desk.tick());
    assert!(reader.trades.len() > 300, "seed {seed}: {} trades", reader.trades.len());
    assert_eq!(reader.candles, reader.expected(), "seed {seed}");
    let quiet = desk.tick();
    reader.read(&quiet);
    let is_candle = |emission: &Emission| {
        matches!(
            &emission.output.message,
            AnyMessage::MarketData(MarketData::CandleUpdate(_))
        )
    };
    assert!(!quiet.iter().any(is_candle), "without trades there are none");
}

/// When a second ends, the longer candles are published as they stand.
#[test]
fn longer_candles_are_told_every_second() {
    let mut desk = Desk::new();
    desk.now_ms = 1_700_000_000_500;
    desk.feed(BookCommand::NewOrder(limit(1, 1, Side::Sell, 10_000, 5)));
    desk.feed(BookCommand::NewOrder(limit(2, 2, Side::Buy, 10_000, 5)));
    let emissions = desk.tick();
    let updates = emissions.iter().filter_map(|emission| match &emission.output.message {
        AnyMessage::MarketData(MarketData::CandleUpdate(update)) => Some(update),
        _ => None,
    });
    let [update] = updates.collect::<Vec<_>>().try_into().unwrap();
    let seen: Vec<_> = update
        .candles
        .iter()
        .map(|candle| (candle.interval, candle.closed, candle.volume))
        .collect();
    let expected: Vec<_> = INTERVALS
        .into_iter()
        .map(|interval| (interval, interval == CandleInterval::Second, 5))
        .collect();
    assert_eq!(seen, expected);
}
