//! How many shares an order may have.

/// The largest quantity of one order: even 2^32 of them, more than a book can hold, add up without
/// overflow.
pub const QUANTITY_MAX: i64 = 1_000_000_000;

/// Shares of one order as the slab keeps them.
///
/// # Panics
/// May panic outside of 0 to [`QUANTITY_MAX`]; whoever calls the book has checked that.
pub(super) fn shares(quantity: i64) -> u32 {
    u32::try_from(quantity).expect("a quantity was checked where it came in")
}
