//! Candles that wait to be pushed together.

use std::collections::BTreeMap;

use brokerx_schemas::{Candle, CandleInterval};

/// The candles that came since the last push, each only in its newest state. A candle that has closed is
/// kept beside the one that has begun to grow after it.
#[derive(Debug, Default)]
pub(super) struct Growing(BTreeMap<(CandleInterval, i64), (Candle, i64)>);

impl Growing {
    /// Adds a candle from a record that was made at `occurred_us`.
    pub(super) fn add(&mut self, candle: &Candle, occurred_us: i64) {
        self.0
            .insert((candle.interval, candle.start_us), (*candle, occurred_us));
    }

    /// Takes all candles out, the earlier first, each with the time of its record.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (Candle, i64)> + use<> {
        std::mem::take(&mut self.0).into_values()
    }
}
