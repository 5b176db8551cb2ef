//! The state in slices of bounded size: a header, then each listing with its orders and
//! stops, then the keys.

use brokerx_schemas::{Instrument, Symbol};
use brokerx_topics::machine::SnapshotError;
use serde::{Deserialize, Serialize};

use super::candles::Candles;
use super::idempotency::Decided;
use super::listing::{Listing, Standing};
use super::restoring::Restoring;
use super::state::Matcher;
use crate::book::{Book, Resting, SelfTradePrevention, Side, Stop, Ticks, TimeInForce};

/// Orders of one slice.
const ORDERS_MAX: usize = 4_096;
/// Stops of one slice.
const STOPS_MAX: usize = 1_024;
/// Keys of one slice.
const KEYS_MAX: usize = 4_096;

/// Where a snapshot in progress stands.
#[derive(Clone, Copy, Debug, Default)]
pub enum Cursor {
    /// At the beginning.
    #[default]
    Start,
    /// Before a listing.
    Listing(usize),
    /// Within the orders of a listing.
    Orders {
        /// The listing.
        listing: usize,
        /// The slot of the next order.
        slot: u32,
    },
    /// Within the stops of a listing.
    Stops {
        /// The listing.
        listing: usize,
        /// The least id of the stops that are left.
        order_id: i64,
    },
    /// Within the idempotency keys.
    Keys(usize),
}

#[derive(Serialize, Deserialize)]
enum Slice {
    Header {
        trades: i64,
        snapshot_next: usize,
        last_tick_second: i64,
        calendar_open: bool,
        day_closed: Option<i32>,
    },
    Listing {
        instrument: Instrument,
        standing: Standing,
        last_price_cents: Option<i64>,
        sequence: i64,
        candles: Candles,
        priority_last: u64,
        order_count: usize,
        stop_count: usize,
    },
    Orders {
        symbol: Symbol,
        columns: Columns,
    },
    Stops {
        symbol: Symbol,
        stops: Vec<Stop>,
    },
    Keys(Vec<Decided>),
}

/// Orders by column: names are written once per slice, and a column can be added later.
#[derive(Default, Serialize, Deserialize)]
struct Columns {
    order_id: Vec<i64>,
    account_id: Vec<i64>,
    side: Vec<Side>,
    price: Vec<Ticks>,
    quantity: Vec<i64>,
    leaves: Vec<i64>,
    visible: Vec<i64>,
    display: Vec<i64>,
    priority: Vec<u64>,
    time_in_force: Vec<TimeInForce>,
    post_only: Vec<bool>,
    self_trade_prevention: Vec<SelfTradePrevention>,
}

impl Columns {
    fn of(orders: &[Resting]) -> Self {
        let mut columns = Self::default();
        for order in orders {
            columns.order_id.push(order.order_id);
            columns.account_id.push(order.account_id);
            columns.side.push(order.side);
            columns.price.push(order.price);
            columns.quantity.push(order.quantity);
            columns.leaves.push(order.leaves);
            columns.visible.push(order.visible);
            columns.display.push(order.display);
            columns.priority.push(order.priority);
            columns.time_in_force.push(order.time_in_force);
            columns.post_only.push(order.post_only);
            columns.self_trade_prevention.push(order.self_trade_prevention);
        }
        columns
    }

    /// The order in one row; none when a column is shorter.
    fn row(&self, row: usize) -> Option<Resting> {
        Some(Resting {
            order_id: *self.order_id.get(row)?,
            account_id: *self.account_id.get(row)?,
            side: *self.side.get(row)?,
            price: *self.price.get(row)?,
            quantity: *self.quantity.get(row)?,
            leaves: *self.leaves.get(row)?,
            visible: *self.visible.get(row)?,
            display: *self.display.get(row)?,
            priority: *self.priority.get(row)?,
            time_in_force: *self.time_in_force.get(row)?,
            post_only: *self.post_only.get(row)?,
            self_trade_prevention: *self.self_trade_prevention.get(row)?,
        })
    }
}

impl Matcher {
    pub(super) fn next_slice(&self, cursor: &mut Cursor) -> Result<Option<Vec<u8>>, SnapshotError> {
        let slice = match *cursor {
            Cursor::Start => {
                *cursor = Cursor::Listing(0);
                Slice::Header {
                    trades: self.trades,
                    snapshot_next: self.snapshot_next,
                    last_tick_second: self.last_tick_second,
                    calendar_open: self.calendar_open,
                    day_closed: self.day_closed,
                }
            }
            Cursor::Listing(index) => match self.listings.get(index) {
                None => {
                    *cursor = Cursor::Keys(0);
                    return self.next_slice(cursor);
                }
                Some(listing) => {
                    *cursor = match listing.book.order_count() {
                        0 => self.after_orders(index),
                        _ => Cursor::Orders {
                            listing: index,
                            slot: 0,
                        },
                    };
                    Slice::Listing {
                        instrument: listing.instrument.clone(),
                        standing: listing.standing,
                        last_price_cents: listing.last_price_cents,
                        sequence: listing.sequence(),
                        candles: listing.candles.clone(),
                        priority_last: listing.book.priority_last(),
                        order_count: listing.book.order_count(),
                        stop_count: listing.book.stop_count(),
                    }
                }
            },
            Cursor::Orders { listing, slot } => {
                let (orders, next) = self.listings[listing].book.orders_from(slot, ORDERS_MAX);
                *cursor = match next {
                    Some(slot) => Cursor::Orders { listing, slot },
                    None => self.after_orders(listing),
                };
                Slice::Orders {
                    symbol: self.listings[listing].instrument.symbol,
                    columns: Columns::of(&orders),
                }
            }
            Cursor::Stops { listing, order_id } => {
                let (stops, next) = self.listings[listing].book.stops_from(order_id, STOPS_MAX);
                *cursor = match next {
                    Some(order_id) => Cursor::Stops { listing, order_id },
                    None => Cursor::Listing(listing + 1),
                };
                Slice::Stops {
                    symbol: self.listings[listing].instrument.symbol,
                    stops,
                }
            }
            Cursor::Keys(start) => {
                let keys = self.keys.range(start, KEYS_MAX);
                if keys.is_empty() {
                    return Ok(None);
                }
                *cursor = Cursor::Keys(start + keys.len());
                Slice::Keys(keys)
            }
        };
        rmp_serde::to_vec_named(&slice)
            .map(Some)
            .map_err(|error| SnapshotError::Encode(error.to_string()))
    }

    fn after_orders(&self, listing: usize) -> Cursor {
        match self.listings[listing].book.stop_count() {
            0 => Cursor::Listing(listing + 1),
            _ => Cursor::Stops { listing, order_id: 0 },
        }
    }

    pub(super) fn take_slice(&mut self, slice: &[u8]) -> Result<(), SnapshotError> {
        let slice = rmp_serde::from_slice(slice).map_err(|error| SnapshotError::Decode(error.to_string()))?;
        match slice {
            Slice::Header {
                trades,
                snapshot_next,
                last_tick_second,
                calendar_open,
                day_closed,
            } => {
                self.calendar_open = calendar_open;
                self.day_closed = day_closed;
                self.trades = trades;
                self.snapshot_next = snapshot_next;
                self.last_tick_second = last_tick_second;
            }
            Slice::Listing {
                instrument,
                standing,
                last_price_cents,
                sequence,
                candles,
                priority_last,
                order_count,
                stop_count,
            } => {
                if self.by_symbol.contains_key(&instrument.symbol) {
                    return Err(mismatch(instrument.symbol, "is there twice"));
                }
                let mut listing = Listing::new(instrument);
                listing.standing = standing;
                listing.last_price_cents = last_price_cents;
                listing.restore_sequence(sequence);
                listing.candles = candles;
                let listing = self.add_listing(listing);
                self.reschedule_candles(listing, None);
                self.restoring = Restoring {
                    orders: Vec::new(),
                    stops: Vec::new(),
                    order_count,
                    stop_count,
                    priority_last,
                };
                self.complete_book()?;
            }
            Slice::Orders { symbol, columns } => {
                self.is_last(symbol)?;
                for row in 0..columns.order_id.len() {
                    let order = columns.row(row).ok_or_else(|| mismatch(symbol, "lacks a column"))?;
                    self.restoring.orders.push(order);
                }
                self.complete_book()?;
            }
            Slice::Stops { symbol, stops } => {
                self.is_last(symbol)?;
                self.restoring.stops.extend(stops);
                self.complete_book()?;
            }
            Slice::Keys(keys) => keys.into_iter().for_each(|decided| self.keys.remember(decided)),
        }
        Ok(())
    }

    fn is_last(&self, symbol: Symbol) -> Result<(), SnapshotError> {
        match self.listings.last() {
            Some(listing) if listing.instrument.symbol == symbol => Ok(()),
            _ => Err(mismatch(symbol, "has orders out of place")),
        }
    }

    /// Builds the book of the last listing once all its orders are there.
    fn complete_book(&mut self) -> Result<(), SnapshotError> {
        let Some(index) = self.listings.len().checked_sub(1) else {
            return Ok(());
        };
        let Restoring {
            orders,
            stops,
            order_count,
            stop_count,
            ..
        } = &self.restoring;
        if orders.len() < *order_count || stops.len() < *stop_count {
            return Ok(());
        }
        let restoring = std::mem::take(&mut self.restoring);
        let symbol = self.listings[index].instrument.symbol;
        self.listings[index].book = Book::restore(restoring.priority_last, restoring.orders, restoring.stops)
            .map_err(|_| mismatch(symbol, "has orders that share a place"))?;
        self.account_for(index);
        Ok(())
    }
}

fn mismatch(symbol: Symbol, what: &str) -> SnapshotError {
    SnapshotError::Mismatch(format!("{symbol} {what}"))
}
