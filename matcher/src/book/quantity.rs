//! How many shares an order may have.

/// The largest quantity of one order: four thousand million of them add up without overflow.
pub const QUANTITY_MAX: i64 = 1_000_000_000;

/// Shares of one order as the slab keeps them.
///
/// # Panics
/// When they are not within 0 and [`QUANTITY_MAX`], which the callers of the book see to.
pub(super) fn shares(quantity: i64) -> u32 {
    u32::try_from(quantity).expect("a quantity was checked where it came in")
}
