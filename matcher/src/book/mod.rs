//! An order book: price, then time.
//!
//! Layout: resting orders live in a slab, one cache line each, and are chained first-in-first-out
//! within their price level; each side keeps its levels sorted with the best one last, so that what
//! happens near the top moves little memory. An order is found by its id through an open-addressing
//! index. Nothing is allocated once slab, levels and index have grown to the size of the book.
//!
//! Memory of a resting order: 64 bytes, and 11 to 22 bytes of index; a level takes 56 bytes. Vectors
//! grow by doubling and keep their size, so a book holds at most about 200 bytes per order of its
//! fullest moment. A stop takes about 250 bytes.
//!
//! Stops wait beside the book until a trade price reaches them. An iceberg shows a part of its shares;
//! a level keeps what it shows and what it hides apart. While nothing may trade the book can collect
//! orders, and may then be crossed until an auction uncrosses it.
//!
//! Invariants, checked by [`Book::check`] after each command and kept on in release builds: the book
//! is not crossed while it trades, no level is empty, what the levels say adds up to what the orders
//! say, and no stop is held that the last trade has reached.
//!
//! Limits: a quantity is at most [`QUANTITY_MAX`], so that no sum can overflow. A level that opens far
//! from the best price moves the levels in between (16 bytes each).
//!
//! The files, each of which uses only files named before it:
//! - `types`, `quantity`: what goes in and comes out
//! - `index`, `orders`, `ladder`, `stops`: where orders, levels and stops are kept; `resting`: an order
//!   as others see it
//! - `queues`: [`Book`], its orders in the queues of their levels
//! - `view`, `invariants`, `held`, `snapshot`: reading, checking, stops, taking apart and restoring
//! - `matching`, then `replace`, `auction` and `commands`: what may trade

mod auction;
mod commands;
mod held;
mod index;
mod invariants;
mod ladder;
mod matching;
mod orders;
mod quantity;
mod queues;
mod replace;
mod resting;
mod snapshot;
mod stops;
mod types;
mod view;

pub use invariants::{Broken, Trading};
pub use quantity::QUANTITY_MAX;
pub use queues::Book;
pub use resting::Resting;
pub use types::*;
