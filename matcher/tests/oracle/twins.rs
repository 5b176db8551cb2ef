//! A machine and a naive book for each of its symbols, fed side by side.

use std::collections::BTreeMap;

use brokerx_matcher::naive::NaiveBook;
use brokerx_schemas::*;
use brokerx_topics::machine::Emission;

use crate::common::{Desk, naively, outcome};

/// The book as a reader of `market-data` builds it: (side, price) to (shares, orders).
type Seen = BTreeMap<(Side, i64), (i64, i32)>;

pub struct Twins {
    pub desk: Desk,
    pub listings: Vec<ListInstrument>,
    pub books: Vec<NaiveBook>,
    seen: Vec<Seen>,
    sequences: Vec<i64>,
}

impl Twins {
    pub fn new(config: &Config, listings: Vec<ListInstrument>) -> Self {
        let mut desk = Desk::with(config.clone());
        for listing in &listings {
            desk.feed(BookCommand::ListInstrument(listing.clone()));
        }
        Self {
            desk,
            books: listings
                .iter()
                .map(|listing| NaiveBook::new(config.clone(), listing))
                .collect(),
            seen: vec![Seen::new(); listings.len()],
            sequences: vec![0; listings.len()],
            listings,
        }
    }

    /// Feeds a command on one symbol to both; what the machine sent, or where they differ.
    pub fn feed(&mut self, which: usize, command: &BookCommand) -> Result<Vec<Emission>, String> {
        let emissions = self.desk.feed(command.clone());
        let observed = outcome(&emissions);
        let expected = naively(&mut self.books[which], command);
        if observed.said != expected {
            return Err(format!("\n  machine: {:?}\n  naive:   {expected:?}", observed.said));
        }
        for emission in &emissions {
            let sequence = match &emission.output.message {
                AnyMessage::MarketData(MarketData::BookUpdate(update)) => update.sequence,
                AnyMessage::MarketData(MarketData::InstrumentStatusChange(change)) => change.sequence,
                _ => continue,
            };
            self.sequences[which] += 1;
            if sequence != self.sequences[which] {
                return Err(format!("sequence {sequence} where {} should be", self.sequences[which]));
            }
        }
        let seen = &mut self.seen[which];
        for level in &observed.changes {
            match level.quantity {
                0 => seen.remove(&(level.side, level.price_cents)),
                quantity => seen.insert((level.side, level.price_cents), (quantity, level.order_count)),
            };
        }
        let levels = self.books[which].levels();
        let levels = levels
            .iter()
            .map(|level| ((level.side, level.price_cents), (level.quantity, level.order_count)));
        if !levels.eq(seen.iter().map(|(place, level)| (*place, *level))) {
            return Err("the increments do not give the book".to_owned());
        }
        Ok(emissions)
    }

    /// A tick. The books that it shows are those that the increments have made so far, so a reader may
    /// begin with them.
    pub fn tick(&mut self) {
        let emissions = self.desk.tick();
        for emission in &emissions {
            let AnyMessage::MarketData(MarketData::BookSnapshot(snapshot)) = &emission.output.message else {
                continue;
            };
            let is_of = |listing: &ListInstrument| listing.symbol == snapshot.symbol;
            let which = self.listings.iter().position(is_of).unwrap();
            let bids = snapshot.bids.iter().rev().map(|level| (Side::Buy, level));
            let asks = snapshot.asks.iter().map(|level| (Side::Sell, level));
            let levels = bids.chain(asks);
            let levels = levels.map(|(side, level)| ((side, level.price_cents), (level.quantity, level.order_count)));
            assert!(levels.eq(self.seen[which].iter().map(|(place, level)| (*place, *level))));
            assert_eq!(snapshot.sequence, self.sequences[which]);
            assert_eq!(snapshot.reference_price_cents, self.books[which].reference_cents());
            assert!(snapshot.complete);
        }
    }

    /// Compares the books order by order.
    pub fn check_whole(&self) {
        for (book, listing) in self.books.iter().zip(&self.listings) {
            let machine = self.desk.matcher().book(listing.symbol).unwrap();
            self.desk.matcher().check_book(listing.symbol).unwrap();
            for (side, queue) in [
                (Side::Buy, machine.queue(brokerx_matcher::book::Side::Buy)),
                (Side::Sell, machine.queue(brokerx_matcher::book::Side::Sell)),
            ] {
                let queue = queue.map(|order| {
                    let price_cents = order.price * listing.tick_size_cents;
                    (order.order_id, price_cents, order.leaves, order.visible)
                });
                let orders = book.orders(side).iter();
                let orders = orders.map(|order| (order.order_id, order.price_cents, order.leaves, order.shown));
                assert!(queue.eq(orders), "the queues of {side:?} differ");
            }
            let mut stops: Vec<_> = machine.stops().collect();
            stops.sort_by_key(|stop| stop.placed);
            let stops = stops.iter().map(|stop| (stop.order_id, stop.quantity));
            assert!(stops.eq(book.stops().iter().map(|stop| (stop.order_id, stop.quantity))));
        }
    }
}
