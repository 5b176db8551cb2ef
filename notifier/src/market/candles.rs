//! Candles that are pushed together.

use std::collections::BTreeMap;

use brokerx_schemas::{Candle, CandleInterval};

/// The candles that came since the last push: of each only how it stands now. A closed one is kept
/// beside the next that grows.
#[derive(Debug, Default)]
pub(super) struct Growing(BTreeMap<(CandleInterval, i64), (Candle, i64)>);

impl Growing {
    /// Adds a candle of a record of this time.
    pub(super) fn add(&mut self, candle: &Candle, occurred_us: i64) {
        self.0
            .insert((candle.interval, candle.start_us), (*candle, occurred_us));
    }

    /// The candles with the time of each, the earlier first; none are kept.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (Candle, i64)> + use<> {
        std::mem::take(&mut self.0).into_values()
    }
}
