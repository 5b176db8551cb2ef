//! What an order that has ended takes for the day of its key: there are more of these than of anything else.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use brokerx_schemas::*;

use crate::bench::*;

/// The system's allocator, which counts what each thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // None while a thread ends.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: everything is passed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are those that this one asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_order_that_has_ended_takes_little() {
    const ORDERS: u32 = 20_000;
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let end_one = |bench: &mut Bench, number: u32| {
        let side = if number.is_multiple_of(2) {
            Side::Buy
        } else {
            Side::Sell
        };
        let order = bench.limit(side, 1, 185_50);
        let command_id = order.meta.command_id;
        let order = bench.place(order);
        bench.fill(&order, 1, 185_50, 0);
        bench.done(&order, command_id, BookStatus::Filled, None, 0);
        assert_eq!(bench.event().kind, AccountEventKind::OrderFilled);
        // They end over time.
        bench.now_ms += 10;
    };
    (0..100).for_each(|number| end_one(&mut bench, number));
    let before = HELD.get();
    (0..ORDERS).for_each(|number| end_one(&mut bench, number));
    let each = (HELD.get() - before) / ORDERS as isize;
    assert_eq!(bench.account(ALICE).orders.len(), 100 + ORDERS as usize);
    assert!((100..=250).contains(&each), "{each} bytes for each order");
}
