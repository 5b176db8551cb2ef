//! What the feeds need of a process that holds a view.

use brokerx_schemas::{Instrument, MarketData};

use crate::book::Applied;

/// A holder of a [`View`](crate::View), shared by the feeds that fill it and by those who look at it.
pub trait Keeper: Send + Sync + 'static {
    /// Takes an instrument, unless a newer version is known.
    fn learn(&self, instrument: Instrument);
    /// Learns that all instruments that exist have been read.
    fn instruments_read(&self);
    /// Reading of the books begins, for the first time or anew.
    fn restart(&self, partitions: usize);
    /// Takes a record of a partition of `market-data`. For an increment, returns what it did to its book.
    fn take(&self, partition: usize, message: &MarketData) -> Option<Applied>;
    /// Whether every partition has shown a sign of life and all of its books.
    fn is_complete(&self) -> bool;
}
