//! Whatever book and account disagree about: the account can be put right.

use brokerx_schemas::*;
use brokerx_topics::machine::{LOGIC_VERSION, Machine};

use crate::bench::*;
use crate::desk::{SHARES, Trial};
use crate::random::Random;

/// What goes wrong with a first order of ten shares.
type Wrong = fn(&mut Trial, Side);

/// An order of ten shares that rests in the book and here.
fn resting(trial: &mut Trial, side: Side) -> OrderId {
    let order_id = trial.place(side, 10);
    trial.settle();
    order_id
}

/// An order whose trade of three shares the account never heard of.
fn short(trial: &mut Trial, side: Side) -> OrderId {
    let order_id = resting(trial, side);
    trial.trade(order_id, 3, 10_00);
    trial.lose();
    order_id
}

/// An order of ten shares that has ended here, by a cancel, and that the book has again.
fn ended(trial: &mut Trial, side: Side) -> OrderId {
    let order_id = resting(trial, side);
    let order = trial.book[&order_id];
    trial.cancel(order_id);
    trial.settle();
    trial.book.insert(order_id, order);
    order_id
}

/// An order of ten shares that only the book knows.
fn unknown(trial: &mut Trial, side: Side) -> OrderId {
    let order_id = ended(trial, side);
    let mut order = trial.book.remove(&order_id).unwrap();
    order.order.order_id = OrderId(7_000);
    trial.book.insert(OrderId(7_000), order);
    OrderId(7_000)
}

/// An order of ten shares that the book has, and that was rejected here.
fn rejected(trial: &mut Trial, side: Side) -> OrderId {
    let order_id = trial.place(side, 10);
    let Some(AccountCommand::CommandDone(done)) = trial.lose() else {
        panic!("not answered")
    };
    trial.feed(AccountCommand::CommandDone(CommandDone {
        status: BookStatus::Rejected,
        reason: Some(Reason::InvalidOrder),
        leaves_quantity: 0,
        ..done
    }));
    order_id
}

/// An order of ten shares that the book has, and that was forgotten here.
fn forgotten(trial: &mut Trial, side: Side) -> OrderId {
    let order_id = ended(trial, side);
    for _ in 0..3 {
        trial.pass(Config::default().closed_key_seconds + 2);
    }
    order_id
}

/// Makes an order that the book has, and that is not open here.
type Stray = fn(&mut Trial, Side) -> OrderId;

const STRAYS: [(&str, Stray); 4] = [
    ("ended", ended),
    ("unknown", unknown),
    ("rejected", rejected),
    ("forgotten", forgotten),
];

const TABLE: [(&str, Wrong); 26] = [
    ("a fill, then another", |trial, side| {
        let order_id = short(trial, side);
        trial.trade(order_id, 2, 10_00);
    }),
    ("a fill, then the last", |trial, side| {
        let order_id = short(trial, side);
        trial.trade(order_id, 7, 10_00);
    }),
    ("a fill, then a cancel", |trial, side| {
        let order_id = short(trial, side);
        trial.cancel(order_id);
    }),
    ("the last fill, then a cancel", |trial, side| {
        let order_id = resting(trial, side);
        trial.trade(order_id, 10, 10_00);
        trial.lose();
        trial.cancel(order_id);
        trial.settle();
        assert_eq!(trial.bench.kinds().last(), Some(&AccountEventKind::OrderCancelled));
    }),
    ("a fill, then the end of the session", |trial, side| {
        let order_id = short(trial, side);
        trial.end(order_id, Reason::SessionEnded);
    }),
    ("a fill, then a delisting", |trial, side| {
        let order_id = short(trial, side);
        trial.end(order_id, Reason::Delisted);
    }),
    ("a fill, then a self-trade", |trial, side| {
        let order_id = short(trial, side);
        trial.end(order_id, Reason::SelfTrade);
    }),
    ("the end of an order, then a cancel", |trial, side| {
        let order_id = resting(trial, side);
        trial.end(order_id, Reason::SessionEnded);
        trial.lose();
        trial.cancel(order_id);
    }),
    ("the end of an order while frozen", |trial, side| {
        let order_id = short(trial, side);
        trial.trade(order_id, 2, 10_00);
        trial.deliver();
        assert!(trial.is_frozen());
        trial.end(order_id, Reason::SessionEnded);
    }),
    ("a fill while the order arrives", |trial, side| {
        trial.on_arrival = vec![(4, 10_00)];
        trial.place(side, 10);
        trial.lose();
    }),
    ("all fills while the order arrives", |trial, side| {
        trial.on_arrival = vec![(10, 10_00)];
        trial.place(side, 10);
        trial.lose();
    }),
    ("a fill of an order that cannot rest", |trial, side| {
        (trial.on_arrival, trial.is_immediate) = (vec![(4, 10_00)], true);
        trial.place(side, 10);
        trial.is_immediate = false;
        trial.lose();
    }),
    ("a place's answer while frozen, filled", |trial, side| {
        let older = short(trial, side);
        trial.trade(older, 2, 10_00);
        trial.on_arrival = vec![(10, 10_00)];
        trial.place(side, 10);
        trial.deliver();
        assert!(trial.is_frozen());
        trial.lose();
    }),
    ("a place's answer while frozen, cancelled", |trial, side| {
        let older = short(trial, side);
        trial.trade(older, 2, 10_00);
        (trial.on_arrival, trial.is_immediate) = (vec![(4, 10_00)], true);
        trial.place(side, 10);
        trial.is_immediate = false;
        trial.deliver();
        assert!(trial.is_frozen());
        trial.lose();
    }),
    ("a place refused although a trade of it is booked", |trial, side| {
        trial.is_book_frozen = true;
        let order_id = trial.place(side, 10);
        trial.forge(order_id, 3);
        trial.is_book_frozen = false;
    }),
    ("the answer to a place", |trial, side| {
        let order_id = trial.place(side, 10);
        trial.lose();
        trial.cancel(order_id);
    }),
    ("a fill before a replace", |trial, side| {
        let order_id = short(trial, side);
        trial.replace(order_id, 12);
    }),
    ("all fills before a replace", |trial, side| {
        let order_id = resting(trial, side);
        trial.trade(order_id, 10, 10_00);
        trial.lose();
        trial.replace(order_id, 12);
    }),
    ("a fill before a replace to what has traded", |trial, side| {
        let order_id = short(trial, side);
        trial.replace(order_id, 3);
    }),
    ("the answer to a replace, then a cancel", |trial, side| {
        let order_id = resting(trial, side);
        trial.replace(order_id, 12);
        trial.lose();
        trial.cancel(order_id);
    }),
    ("the answer to a cancel", |trial, side| {
        let order_id = resting(trial, side);
        trial.cancel(order_id);
        trial.lose();
        for _ in 0..3 {
            trial.cancel(order_id);
        }
    }),
    ("the answer to a sweep", |trial, side| {
        let order_id = short(trial, side);
        trial.trade(order_id, 2, 10_00);
        trial.deliver();
        assert!(trial.is_frozen());
        trial.hear();
        trial.lose();
    }),
    ("a forged fill", |trial, side| {
        let order_id = resting(trial, side);
        trial.forge(order_id, 4);
        trial.trade(order_id, 2, 10_00);
    }),
    ("a forged last fill", |trial, side| {
        let order_id = resting(trial, side);
        trial.forge(order_id, 10);
        trial.trade(order_id, 2, 10_00);
        trial.deliver();
        assert!(trial.is_frozen());
        trial.hear();
        assert!(trial.book.is_empty(), "what is filled here is recalled from the book");
    }),
    ("an answer that nobody asked for", |trial, side| {
        resting(trial, side);
        trial.freeze();
    }),
    ("a frozen book refuses, and is delisted", |trial, side| {
        let order_id = short(trial, side);
        trial.is_book_frozen = true;
        trial.trade(order_id, 2, 10_00);
    }),
];

#[test]
fn whatever_freezes_an_account_it_can_be_put_right() {
    for (name, wrong) in TABLE {
        for side in [Side::Buy, Side::Sell] {
            for snapshots in [false, true] {
                let mut trial = Trial::of_version(LOGIC_VERSION);
                wrong(&mut trial, side);
                if snapshots {
                    trial.bench.restore();
                }
                trial.put_right(name);
                assert!(trial.freezes > 0, "{name}: nothing was noticed");
            }
        }
    }
}

/// With its first word about an order that is not open here it leaves the book; what traded is corrected once.
#[test]
fn an_order_that_only_the_book_has_leaves_it() {
    type Word = fn(&mut Trial, OrderId);
    let words: [(&str, Word); 3] = [
        ("trades", |trial, order_id| trial.trade(order_id, 3, 10_00)),
        ("is triggered", |trial, order_id| trial.trigger(order_id)),
        ("answers", |trial, order_id| trial.answer_unasked(order_id)),
    ];
    for (stray, make) in STRAYS {
        for (word, speak) in words {
            for side in [Side::Buy, Side::Sell] {
                let name = format!("{stray} {word}");
                let mut trial = Trial::of_version(LOGIC_VERSION);
                let order_id = make(&mut trial, side);
                speak(&mut trial, order_id);
                trial.deliver();
                assert!(trial.is_frozen(), "{name}");
                trial.bench.restore();
                assert_eq!(trial.to_book.len(), 1, "{name}: {:?}", trial.to_book);
                trial.settle();
                assert!(trial.book.is_empty(), "{name}");
                assert_eq!(trial.freezes, 1, "{name}: the answer is no contradiction");
                trial.put_right(&name);
                assert_eq!(trial.freezes, 1, "{name}");
            }
        }
    }
}

/// A cancel of an order that is not known here is never waited for: the next word of the book sends another.
#[test]
fn a_stray_whose_cancel_is_lost_or_refused_is_cancelled_with_its_next_trade() {
    for (stray, make) in STRAYS {
        for is_book_frozen in [false, true] {
            let mut trial = Trial::of_version(LOGIC_VERSION);
            let order_id = make(&mut trial, Side::Buy);
            trial.trade(order_id, 3, 10_00);
            trial.deliver();
            match is_book_frozen {
                true => {
                    trial.is_book_frozen = true;
                    trial.settle();
                    trial.is_book_frozen = false;
                }
                false => trial.to_book.clear(),
            }
            assert!(trial.book.contains_key(&order_id), "{stray}");
            trial.trade(order_id, 2, 10_00);
            trial.settle();
            for _ in 0..2 {
                trial.pass(15);
                trial.settle();
            }
            assert!(trial.book.is_empty(), "{stray}, {is_book_frozen}");
            trial.put_right(stray);
        }
    }
}

/// Before version 4 nothing could be done about it.
#[test]
fn an_order_that_only_the_book_has_stays_there_before_version_4() {
    for (stray, make) in &STRAYS[1..] {
        let mut trial = Trial::of_version(3);
        let order_id = make(&mut trial, Side::Buy);
        trial.trade(order_id, 3, 10_00);
        trial.settle();
        assert!(trial.is_frozen() && trial.book.contains_key(&order_id), "{stray}");
    }
}

/// Whether the book applied a replace is not known once its answer cannot be understood: trades on both terms are
/// booked, and the last one ends the order.
#[test]
fn a_replace_whose_answer_is_about_another_order_may_stand() {
    for quantity in [10, 30] {
        let mut trial = Trial::of_version(LOGIC_VERSION);
        let order_id = resting(&mut trial, Side::Buy);
        trial.replace(order_id, 30);
        let Some(AccountCommand::CommandDone(done)) = trial.lose() else {
            panic!("not answered")
        };
        trial.trade(order_id, quantity, 10_00);
        trial.feed(AccountCommand::CommandDone(CommandDone {
            order_id: OrderId(7),
            ..done
        }));
        trial.deliver();
        let shares = trial.summary().positions[0].quantity;
        assert_eq!(shares, SHARES + quantity, "it is booked");
        if quantity == 30 {
            assert_eq!(trial.bench.kinds().last(), Some(&AccountEventKind::OrderFilled));
        }
        trial.put_right("another order");
    }
}

/// However often a book was asked: an answer that is lost in the end is asked for once more.
#[test]
fn a_frozen_book_that_is_delisted_late_lets_the_account_go() {
    let mut trial = left_in_the_books(LOGIC_VERSION, 1);
    trial.is_book_frozen = true;
    trial.freeze();
    for _ in 0..40 {
        trial.settle();
        trial.pass(3_600);
    }
    trial.is_book_frozen = false;
    trial.book.clear();
    trial.hear();
    assert!(trial.lose().is_some());
    for _ in 0..3 {
        trial.pass(3_600);
        trial.settle();
    }
    assert_eq!(trial.thaw(), None);
}

/// An answer that names another order than the command in flight.
#[test]
fn an_answer_about_the_wrong_order_holds_nothing_back() {
    let mut trial = Trial::of_version(LOGIC_VERSION);
    let order_id = trial.place(Side::Sell, 10);
    let Some(AccountCommand::CommandDone(done)) = trial.lose() else {
        panic!("not answered")
    };
    trial.feed(AccountCommand::CommandDone(CommandDone {
        order_id: OrderId(7),
        ..done
    }));
    assert!(trial.is_frozen());
    trial.put_right("another order");
    // Nothing of it is left once its time is over.
    for _ in 0..3 {
        trial.pass(Config::default().closed_key_seconds + 2);
    }
    let known = trial.summary().orders;
    assert!(known.iter().all(|order| order.order_id != order_id), "{known:?}");
}

/// Lives in which records get lost and are forged at random.
#[test]
fn random_losses_are_put_right() {
    let mut freezes = 0;
    for seed in 0..400 {
        let mut random = Random(seed);
        let mut trial = Trial::of_version(LOGIC_VERSION);
        let mut placed = Vec::new();
        for _ in 0..60 {
            let pick = |random: &mut Random, placed: &[OrderId]| match placed {
                [] => OrderId(1),
                placed => *random.pick(placed),
            };
            match random.below(16) {
                0..3 if !trial.is_frozen() && !trial.is_book_frozen => {
                    if random.one_in(3) {
                        trial.on_arrival = vec![(random.between(1, 10), 10_00)];
                    }
                    let side = *random.pick(&[Side::Buy, Side::Sell]);
                    let may_trade = trial.summary().status.state == AccountState::Active;
                    if may_trade {
                        placed.push(trial.place(side, 10));
                    }
                }
                3..6 => trial.trade(pick(&mut random, &placed), random.between(1, 10), 10_00),
                6 => trial.cancel(pick(&mut random, &placed)),
                7 => {
                    let order_id = pick(&mut random, &placed);
                    trial.replace(order_id, random.between(1, 15));
                }
                8 if random.one_in(3) => {
                    let order_id = pick(&mut random, &placed);
                    let view = trial
                        .summary()
                        .orders
                        .into_iter()
                        .find(|order| order.order_id == order_id);
                    // A forged fill that leaves something: what is filled here has no other way out of a
                    // book that never speaks of it again.
                    if view.is_some_and(|view| !view.status.is_terminal() && view.quantity > view.filled_quantity + 1) {
                        trial.forge(order_id, 1);
                    }
                }
                9 => {
                    let cause = *random.pick(&[Reason::SessionEnded, Reason::SelfTrade]);
                    trial.end(pick(&mut random, &placed), cause);
                }
                10 if random.one_in(8) => trial.is_book_frozen = true,
                11 if random.one_in(3) => {
                    let state = *random.pick(&[AccountState::Suspended, AccountState::Active, AccountState::Active]);
                    trial.status(state);
                }
                12 => trial.pass(random.between(1, 30)),
                13 if random.one_in(2) => drop(trial.lose()),
                14 if trial.is_frozen() => drop(trial.thaw()),
                _ => {
                    trial.hear();
                    for _ in 0..random.between(1, 4) {
                        trial.deliver();
                    }
                }
            }
        }
        trial.put_right(&format!("seed {seed}"));
        freezes += trial.freezes;
    }
    assert!(freezes > 400, "{freezes}");
}

fn adjust_and_back(version: i32, frozen: bool) {
    const EXTREMES: [i64; 9] = [
        i64::MIN,
        i64::MIN + 1,
        -(1 << 62),
        -1,
        0,
        1,
        1 << 62,
        i64::MAX - 1,
        i64::MAX,
    ];
    for symbol in [None, Some(aapl()), Some(Symbol::new("MSFT").unwrap())] {
        for first in EXTREMES {
            for cost in EXTREMES {
                let mut trial = Trial::of_version(version);
                if frozen {
                    let stray = trial.place(Side::Buy, 1);
                    trial.settle();
                    trial.cancel(stray);
                    trial.settle();
                    trial.freeze();
                }
                let before = trial.summary();
                let mut done = Vec::new();
                for (amount, cost) in [(first, cost), (cost, first), (first, cost), (i64::MIN, i64::MIN)] {
                    let refused = trial.adjust(symbol, amount, if symbol.is_some() { cost } else { 0 });
                    let reasons = [
                        Reason::InvalidAmount,
                        Reason::InvalidQuantity,
                        Reason::InsufficientFunds,
                        Reason::InsufficientShares,
                        Reason::Frozen,
                    ];
                    match refused {
                        Some(reason) => assert!(reasons.contains(&reason), "{reason:?}"),
                        None => done.push((amount, cost)),
                    }
                    assert!(!(amount == i64::MIN && refused.is_none()), "it has no counter side");
                    let sums = trial.bench.events.iter().flat_map(|event| &event.postings);
                    let sum: i128 = sums.map(|line| i128::from(line.amount)).sum();
                    assert_eq!(sum, 0);
                    trial.bench.restore();
                }
                // What was done can be undone, in two parts where the whole is beyond the numbers.
                for (amount, cost) in done.into_iter().rev() {
                    let costs = match (symbol, cost) {
                        (None, _) => [0, 0],
                        (Some(_), i64::MIN) => [1 << 62, 1 << 62],
                        (Some(_), cost) => [-cost, 0],
                    };
                    for (amount, cost) in [-amount, 0].into_iter().zip(costs) {
                        if amount != 0 || cost != 0 {
                            assert_eq!(trial.adjust(symbol, amount, cost), None, "{amount} {cost}");
                        }
                    }
                }
                let after = trial.summary();
                assert_eq!((after.cash, after.positions), (before.cash, before.positions));
                if frozen && version >= 2 {
                    assert_eq!(trial.thaw(), None);
                }
            }
        }
    }
}

#[test]
fn no_correction_is_too_large_to_be_decided() {
    for version in 1..=LOGIC_VERSION {
        for frozen in [false, true] {
            adjust_and_back(version, frozen);
        }
    }
}

/// Orders of an account that an older logic version left in the books.
fn left_in_the_books(version: i32, orders: i64) -> Trial {
    let mut trial = Trial::of_version(version);
    let meta = trial.bench.meta();
    trial.feed(AccountCommand::SetLimits(SetLimits {
        meta,
        account_id: ALICE,
        operator: "operator".to_owned(),
        idempotency_key: None,
        limits: AccountLimits {
            order_quantity_max: SHARES,
            order_notional_cents_max: 10_000_00,
            open_orders_max: 1_000,
        },
    }));
    for _ in 0..orders {
        trial.place(Side::Sell, 1);
        trial.settle();
    }
    trial
}

fn raise(trial: &mut Trial, version: i32, logic_version: i32) {
    trial.feed(AccountCommand::Config(ConfigChange {
        version,
        logic_version,
        config: Config::default(),
    }));
}

#[test]
fn who_was_frozen_or_suspended_before_version_3_leaves_the_books_with_the_next_tick() {
    for how in ["frozen", "suspended", "rejected"] {
        let mut trial = left_in_the_books(1, 250);
        match how {
            "frozen" => trial.freeze(),
            "suspended" => trial.status(AccountState::Suspended),
            _ => trial.status(AccountState::Rejected),
        }
        assert!(trial.to_book.is_empty(), "version 1 does not sweep");
        raise(&mut trial, 2, 2);
        trial.pass(1);
        assert!(trial.to_book.is_empty(), "nor does version 2 afterwards");
        raise(&mut trial, 3, LOGIC_VERSION);
        assert!(trial.to_book.is_empty());
        trial.bench.restore();
        assert!(
            trial
                .bench
                .machine()
                .next_tick()
                .is_some_and(|next| next <= trial.bench.now_ms / 1_000)
        );
        trial.pass(1);
        assert_eq!(trial.to_book.len(), 250, "{how}");
        trial.settle();
        assert!(
            trial
                .summary()
                .orders
                .iter()
                .all(|order| order.status == OrderStatus::Cancelled)
        );
        if how == "frozen" {
            assert_eq!(trial.thaw(), None);
        }
        trial.put_right(how);
    }
}

#[test]
fn who_may_trade_is_left_alone_when_version_3_comes() {
    let mut trial = left_in_the_books(1, 3);
    raise(&mut trial, 2, LOGIC_VERSION);
    trial.pass(1);
    assert!(trial.to_book.is_empty() && trial.book.len() == 3);
}

/// The books are asked again, less and less often, and only while anything is left to ask about.
#[test]
fn a_frozen_book_is_asked_again_until_it_lets_the_order_go() {
    for frozen in [true, false] {
        let mut trial = left_in_the_books(LOGIC_VERSION, 1);
        trial.is_book_frozen = true;
        match frozen {
            true => trial.freeze(),
            false => trial.status(AccountState::Suspended),
        }
        let mut asked = vec![0];
        for second in 1..400 {
            trial.settle();
            trial.pass(1);
            if !trial.to_book.is_empty() {
                assert_eq!(trial.to_book.len(), 1);
                asked.push(second);
                trial.bench.restore();
            }
        }
        assert_eq!(asked, [0, 10, 30, 70, 150, 310]);
        // The broken book is delisted without a word about the order: it is asked, and says so.
        trial.settle();
        trial.is_book_frozen = false;
        trial.book.clear();
        if frozen {
            assert_eq!(trial.thaw(), Some(Reason::AccountUnsound));
            trial.pass(1);
            assert_eq!(trial.to_book.len(), 1, "a thaw that is refused asks at once");
        } else {
            trial.pass(400);
        }
        trial.put_right("delisted");
        for _ in 0..5 {
            trial.pass(4_000);
            assert!(trial.to_book.is_empty());
        }
    }
}

/// A book that does not answer for days is not buried in cancels.
#[test]
fn what_is_asked_of_a_silent_book_is_bounded() {
    let mut trial = left_in_the_books(LOGIC_VERSION, 1);
    trial.status(AccountState::Suspended);
    for _ in 0..200 {
        trial.pass(3_600);
    }
    assert_eq!(trial.to_book.len(), 16);
    trial.put_right("silent");

    // However often an operator tries.
    let mut trial = left_in_the_books(LOGIC_VERSION, 1);
    trial.freeze();
    trial.hear();
    trial.lose();
    for _ in 0..200 {
        assert_eq!(trial.thaw(), Some(Reason::AccountUnsound));
        trial.pass(1);
    }
    assert_eq!(trial.to_book.len(), 15, "the first one was heard");
    trial.put_right("silent and thawed");
}
