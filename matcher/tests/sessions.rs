//! The calendar on the clock's ticks: sessions, days, and what an outage leaves to make up for.
#![allow(
    clippy::unwrap_used,
    clippy::inconsistent_digit_grouping,
    reason = "a test; cents stand behind dollars"
)]

mod common;

use brokerx_matcher::naive::Said;
use brokerx_schemas::*;
use brokerx_topics::machine::{Content, Emission, LOGIC_VERSION, Record};
use common::*;

const DAY: i64 = 86_400;
const NONE: [i32; 0] = [];
/// Midnight UTC of some day.
const MIDNIGHT: i64 = 20_000 * DAY;

/// Days that were told, each to all 8 account partitions at once.
fn days(emissions: &[Emission]) -> Vec<i32> {
    let mut days = Vec::new();
    for emission in emissions {
        if let AnyMessage::AccountCommand(AccountCommand::DayClosed(closed)) = &emission.output.message {
            assert_eq!(closed.book_partition, 0);
            days.push((closed.day, emission.output.partition));
        }
    }
    let partitions: Vec<i32> = days.iter().map(|(_, partition)| *partition).collect();
    assert!(partitions.chunks(8).all(|chunk| chunk == (0..8).collect::<Vec<_>>()));
    days.into_iter().step_by(8).map(|(day, _)| day).collect()
}

fn statuses(emissions: &[Emission]) -> Vec<InstrumentStatus> {
    let changes = emissions.iter().filter_map(|emission| match &emission.output.message {
        AnyMessage::MarketData(MarketData::InstrumentStatusChange(change)) => Some(change.status),
        _ => None,
    });
    changes.collect()
}

fn day_order(order_id: i64) -> BookCommand {
    BookCommand::NewOrder(NewOrder {
        time_in_force: TimeInForce::Day,
        ..limit(order_id, 1, Side::Buy, 99_00, 5)
    })
}

/// Sessions from 10 to 18 h UTC on days 20000, 20001 and 20004.
fn calendar() -> Config {
    let session = |day: i32| Session {
        day,
        opens_second: i64::from(day) * DAY + 10 * 3_600,
        closes_second: i64::from(day) * DAY + 18 * 3_600,
    };
    Config {
        collect_while_closed: true,
        sessions: vec![session(20_000), session(20_001), session(20_004)],
        ..Config::default()
    }
}

/// A machine with AAPL listed, whose first tick comes at a second.
fn desk_at(config: Config, second: i64) -> Desk {
    desk_of(LOGIC_VERSION, config, second)
}

fn desk_of(logic_version: i32, config: Config, second: i64) -> Desk {
    let mut desk = Desk::of_version(config, logic_version);
    desk.now_ms = (second - 1) * 1_000;
    desk.feed(BookCommand::ListInstrument(listing()));
    assert_eq!(
        days(&desk.tick_at(second)),
        NONE,
        "what was before the log is no day of it"
    );
    desk
}

#[test]
fn without_a_calendar_a_day_ends_at_midnight() {
    let mut desk = desk_at(Config::default(), MIDNIGHT - 10);
    desk.feed(day_order(1));
    assert_eq!(days(&desk.tick_at(MIDNIGHT - 1)), NONE);
    let emissions = desk.tick_at(MIDNIGHT);
    assert_eq!(days(&emissions), [19_999]);
    assert_eq!(outcome(&emissions).said, [Said::Ended(1, Reason::SessionEnded, 5)]);
    let place = |is: fn(&AnyMessage) -> bool| emissions.iter().position(|emission| is(&emission.output.message));
    let expiry = place(|message| matches!(message, AnyMessage::AccountCommand(AccountCommand::OrderEnded(_))));
    let closed = place(|message| matches!(message, AnyMessage::AccountCommand(AccountCommand::DayClosed(_))));
    assert!(expiry < closed, "a day is closed behind its last expiry");
    assert_eq!(statuses(&emissions), [], "no book closes");
    assert_eq!(days(&desk.tick_at(MIDNIGHT + 1)), NONE, "once");
    desk.feed(day_order(2));
    assert_eq!(days(&desk.tick_at(MIDNIGHT + DAY)), [20_000]);
}

#[test]
fn every_day_that_was_missed_is_told_once() {
    let mut desk = desk_at(Config::default(), MIDNIGHT + 5);
    desk.restore();
    assert_eq!(days(&desk.tick_at(MIDNIGHT + 3 * DAY + 7)), [20_000, 20_001, 20_002]);
    desk.restore();
    assert_eq!(days(&desk.tick_at(MIDNIGHT + 3 * DAY + 8)), NONE);
    assert_eq!(days(&desk.tick_at(MIDNIGHT + 4 * DAY)), [20_003]);
}

#[test]
fn books_follow_the_calendar() {
    let at = |day: i64, hour: i64| day * DAY + hour * 3_600;
    let mut desk = desk_at(calendar(), at(20_000, 8));
    let status = |desk: &Desk| desk.matcher().instrument(symbol()).unwrap().status;
    assert_eq!(status(&desk), InstrumentStatus::Closed, "before the first session");
    let other = Symbol::new("OTHER").unwrap();
    desk.feed(BookCommand::ListInstrument(ListInstrument {
        symbol: other,
        ..listing()
    }));
    assert_eq!(
        desk.matcher().instrument(other).unwrap().status,
        InstrumentStatus::Closed,
        "what is listed while closed is closed"
    );
    desk.feed(BookCommand::NewOrder(limit(1, 1, Side::Buy, 101_00, 5)));
    desk.feed(BookCommand::NewOrder(limit(2, 2, Side::Sell, 100_00, 5)));
    assert_eq!(statuses(&desk.tick_at(at(20_000, 10) - 1)), []);
    let opening = desk.tick_at(at(20_000, 10));
    assert_eq!(statuses(&opening), [InstrumentStatus::Open; 2]);
    assert_eq!(
        outcome(&opening).trades()[0].price_cents,
        100_00,
        "what was collected trades"
    );
    desk.feed(day_order(3));
    desk.restore();
    let closing = desk.tick_at(at(20_000, 18));
    assert_eq!(statuses(&closing), [InstrumentStatus::Closed; 2]);
    assert_eq!(outcome(&closing).said, [Said::Ended(3, Reason::SessionEnded, 5)]);
    assert_eq!(days(&closing), [20_000]);
    // A DAY order of the night belongs to the next session.
    desk.feed(day_order(4));
    assert_eq!(days(&desk.tick_at(at(20_001, 0))), NONE, "midnight means nothing");
    assert_eq!(outcome(&desk.tick_at(at(20_001, 10))).said, []);
    let closing = desk.tick_at(at(20_001, 18));
    assert_eq!(outcome(&closing).said, [Said::Ended(4, Reason::SessionEnded, 5)]);
    assert_eq!(days(&closing), [20_001]);
    // After the horizon it stays closed.
    desk.tick_at(at(20_004, 10));
    assert_eq!(days(&desk.tick_at(at(20_004, 18))), [20_004]);
    assert_eq!(statuses(&desk.tick_at(at(20_010, 12))), []);
    assert_eq!(status(&desk), InstrumentStatus::Closed);
}

#[test]
fn an_outage_over_the_night_ends_the_old_session_and_begins_the_new() {
    let at = |day: i64, hour: i64| day * DAY + hour * 3_600;
    let mut desk = desk_at(calendar(), at(20_000, 12));
    desk.feed(day_order(1));
    let emissions = desk.tick_at(at(20_001, 12));
    assert_eq!(outcome(&emissions).said, [Said::Ended(1, Reason::SessionEnded, 5)]);
    assert_eq!(statuses(&emissions), [InstrumentStatus::Closed, InstrumentStatus::Open]);
    assert_eq!(days(&emissions), [20_000]);
    let place = |is: &dyn Fn(&AnyMessage) -> bool| emissions.iter().position(|emission| is(&emission.output.message));
    let closed = place(&|message| matches!(message, AnyMessage::AccountCommand(AccountCommand::DayClosed(_))));
    let opened = place(&|message| {
        matches!(message, AnyMessage::MarketData(MarketData::InstrumentStatusChange(change))
            if change.status == InstrumentStatus::Open)
    });
    assert!(closed < opened, "the new session begins behind the old day");
    // Over several sessions at once.
    let emissions = desk.tick_at(at(20_008, 0));
    assert_eq!(days(&emissions), [20_001, 20_004]);
    assert_eq!(statuses(&emissions), [InstrumentStatus::Closed]);
}

#[test]
fn an_operator_may_open_outside_of_the_session() {
    let at = |day: i64, hour: i64| day * DAY + hour * 3_600;
    let mut desk = desk_at(calendar(), at(20_000, 8));
    desk.feed(BookCommand::OpenSession(instrument_command()));
    assert_eq!(
        statuses(&desk.tick_at(at(20_000, 9))),
        [],
        "the calendar leaves it alone"
    );
    assert_eq!(statuses(&desk.tick_at(at(20_000, 10))), [], "it is open already");
    desk.feed(BookCommand::CloseSession(instrument_command()));
    assert_eq!(statuses(&desk.tick_at(at(20_000, 11))), []);
    assert_eq!(days(&desk.tick_at(at(20_000, 18))), [20_000]);
}

/// An operator closes early: what comes afterwards is for the next session, and the calendar's own close
/// ends nothing of it.
#[test]
fn what_is_collected_behind_an_early_close_belongs_to_the_next_session() {
    let at = |day: i64, hour: i64| day * DAY + hour * 3_600;
    let mut desk = desk_at(calendar(), at(20_000, 12));
    desk.feed(day_order(1));
    let closing = desk.feed(BookCommand::CloseSession(instrument_command()));
    assert_eq!(outcome(&closing).said, [Said::Ended(1, Reason::SessionEnded, 5)]);
    desk.feed(day_order(2));
    desk.feed(BookCommand::NewOrder(NewOrder {
        order_type: OrderType::Market,
        price_cents: None,
        ..limit(3, 2, Side::Sell, 0, 5)
    }));
    desk.restore();
    let calendar_close = desk.tick_at(at(20_000, 18));
    assert_eq!(
        (outcome(&calendar_close).said, days(&calendar_close)),
        (vec![], vec![20_000])
    );
    let opening = desk.tick_at(at(20_001, 10));
    assert_eq!(
        outcome(&opening).trades().len(),
        1,
        "both are still there for the auction"
    );
    // What is placed in that session, ends with it.
    desk.feed(day_order(4));
    let closing = desk.tick_at(at(20_001, 18));
    assert_eq!(outcome(&closing).said, [Said::Ended(4, Reason::SessionEnded, 5)]);
}

#[test]
fn nor_does_midnight_end_what_a_closed_book_collects() {
    let config = Config {
        collect_while_closed: true,
        ..Config::default()
    };
    let mut desk = desk_at(config, MIDNIGHT - 10);
    desk.feed(BookCommand::CloseSession(instrument_command()));
    desk.feed(day_order(1));
    let midnight = desk.tick_at(MIDNIGHT);
    assert_eq!((outcome(&midnight).said, days(&midnight)), (vec![], vec![19_999]));
    desk.feed(BookCommand::OpenSession(instrument_command()));
    let midnight = desk.tick_at(MIDNIGHT + DAY);
    assert_eq!(outcome(&midnight).said, [Said::Ended(1, Reason::SessionEnded, 5)]);
}

/// A log of the first version goes on as it began, until it is raised.
#[test]
fn the_first_version_ends_it_at_the_calendar_s_close() {
    let at = |day: i64, hour: i64| day * DAY + hour * 3_600;
    let mut desk = desk_of(1, calendar(), at(20_000, 12));
    let close_after = |desk: &mut Desk, order_id, day| {
        desk.feed(BookCommand::CloseSession(instrument_command()));
        desk.feed(day_order(order_id));
        desk.restore();
        outcome(&desk.tick_at(at(day, 18))).said
    };
    let ended = close_after(&mut desk, 1, 20_000);
    assert_eq!(ended, [Said::Ended(1, Reason::SessionEnded, 5)]);
    desk.feed(BookCommand::Config(ConfigChange {
        version: 2,
        logic_version: 2,
        config: calendar(),
    }));
    desk.tick_at(at(20_001, 10));
    assert_eq!(close_after(&mut desk, 2, 20_001), []);
}

#[test]
fn a_new_configuration_is_followed_with_the_next_tick() {
    let at = |day: i64, hour: i64| day * DAY + hour * 3_600;
    let mut desk = desk_at(Config::default(), at(20_000, 8));
    desk.feed(day_order(1));
    let change = |version, config| {
        BookCommand::Config(ConfigChange {
            version,
            logic_version: LOGIC_VERSION,
            config,
        })
    };
    desk.feed(change(2, calendar()));
    let emissions = desk.tick_at(at(20_000, 8) + 1);
    assert_eq!(statuses(&emissions), [InstrumentStatus::Closed]);
    assert_eq!(outcome(&emissions).ended().len(), 1);
    desk.restore();
    desk.feed(change(3, Config::default()));
    let emissions = desk.tick_at(at(20_000, 8) + 2);
    assert_eq!(
        (statuses(&emissions), days(&emissions)),
        (vec![InstrumentStatus::Open], vec![])
    );
    assert_eq!(days(&desk.tick_at(at(20_001, 0))), [20_000]);
}

/// Ten thousand books close on one tick, and open on another, a bounded step at a time.
#[test]
fn many_symbols_close_in_bounded_steps() {
    let at = |day: i64, hour: i64| day * DAY + hour * 3_600;
    let mut desk = desk_at(calendar(), at(20_000, 12));
    for index in 0..10_000 {
        let symbol = Symbol::new(&format!("S{index}")).unwrap();
        desk.feed(BookCommand::ListInstrument(ListInstrument { symbol, ..listing() }));
        desk.feed(BookCommand::NewOrder(NewOrder {
            symbol,
            time_in_force: TimeInForce::Day,
            ..limit(index + 10, 1, Side::Buy, 99_00, 5)
        }));
    }
    let mut step = |second: i64| {
        let mut sizes = Vec::new();
        let mut emissions = Vec::new();
        let record = Record {
            offset: desk.fold.position(),
            appended_ms: second * 1_000,
            identity: None,
            digest: 1,
            input: Content::Decoded(BookCommand::Tick(Tick { second })),
        };
        desk.fold.apply(record, &mut emissions).unwrap();
        sizes.push(emissions.len());
        while !desk.fold.is_between_records() {
            desk.fold.resume(&mut emissions);
            sizes.push(emissions.len() - sizes.iter().sum::<usize>());
        }
        (emissions, sizes)
    };
    let (closing, sizes) = step(at(20_000, 18));
    assert_eq!((statuses(&closing).len(), days(&closing)), (10_001, vec![20_000]));
    assert_eq!(outcome(&closing).ended().len(), 10_000);
    assert!(sizes.iter().max().unwrap() < &1_000, "{sizes:?}");
    let (opening, sizes) = step(at(20_001, 10));
    assert_eq!(statuses(&opening).len(), 10_001);
    assert!(sizes.iter().max().unwrap() < &1_000, "{sizes:?}");
}
