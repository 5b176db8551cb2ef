//! A book that contradicts itself stops, and only it.
#![allow(
    clippy::unwrap_used,
    clippy::inconsistent_digit_grouping,
    reason = "a test; cents stand behind dollars"
)]

mod common;

use brokerx_matcher::book::Side as BookSide;
use brokerx_matcher::machine::Matcher;
use brokerx_schemas::*;
use brokerx_topics::machine::{Context, Fold, Machine, Outputs, Step};
use common::*;

/// The place of the commands that a broken book meets.
const CONTEXT: Context = Context {
    partition: 0,
    offset: 9,
    appended_ms: NOW_MS,
    now_ms: NOW_MS,
};

#[test]
fn a_broken_book_is_frozen_and_the_others_go_on() {
    let mut desk = Desk::new();
    let other = Symbol::new("OTHER").unwrap();
    desk.feed(BookCommand::ListInstrument(ListInstrument {
        symbol: other,
        ..listing()
    }));
    desk.feed(BookCommand::NewOrder(limit(1, 1, Side::Sell, 101_00, 5)));
    // The fold keeps its machine to itself: another is made from slices, and the flaw put in.
    let mut machine = rebuilt(&desk.fold);
    machine.corrupt(symbol(), BookSide::Sell);
    let mut outputs = Outputs::default();
    let mut apply = |machine: &mut Matcher, command| {
        assert_eq!(machine.apply(&CONTEXT, command, &mut outputs), Step::Done);
        let messages = outputs.drain().map(|output| output.message);
        messages.collect::<Vec<_>>()
    };
    let sent = apply(&mut machine, BookCommand::NewOrder(limit(2, 2, Side::Sell, 101_00, 5)));
    let frozen = sent.iter().any(|message| {
        matches!(message, AnyMessage::MarketData(MarketData::InstrumentStatusChange(change))
            if change.status == InstrumentStatus::Frozen && change.note.is_some())
    });
    assert!(frozen, "{sent:?}");
    assert_eq!(
        machine.diagnosis(symbol()).len(),
        1,
        "the command that found it is kept"
    );
    let done = |sent: &[AnyMessage]| {
        let done = sent.iter().find_map(|message| match message {
            AnyMessage::AccountCommand(AccountCommand::CommandDone(done)) => Some((done.status, done.reason)),
            _ => None,
        });
        done.unwrap()
    };
    let refused = (BookStatus::Rejected, Some(Reason::Frozen));
    let order = limit(3, 2, Side::Buy, 101_00, 5);
    assert_eq!(done(&apply(&mut machine, BookCommand::NewOrder(order))), refused);
    let elsewhere = NewOrder { symbol: other, ..order };
    assert_eq!(
        done(&apply(&mut machine, BookCommand::NewOrder(elsewhere))),
        (BookStatus::Working, None)
    );
    let resume = apply(&mut machine, BookCommand::ResumeInstrument(instrument_command()));
    let AnyMessage::Reply(resume) = &resume[0] else {
        panic!("{resume:?}")
    };
    assert_eq!(resume.refusal.as_ref().unwrap().reason, Reason::Frozen);
    let delisted = apply(&mut machine, BookCommand::DelistInstrument(instrument_command()));
    let ended = delisted
        .iter()
        .filter(|message| matches!(message, AnyMessage::AccountCommand(AccountCommand::OrderEnded(_))));
    assert_eq!(ended.count(), 2, "delisting releases what rested in it");
}

/// The diagnosis needs a frozen book as it is, so it refuses cancels; once it is delisted, it says that it has
/// no order any more.
#[test]
fn a_frozen_book_lets_go_of_its_orders_when_it_is_delisted() {
    for (logic_version, afterwards) in [(2, Reason::Frozen), (3, Reason::OrderClosed)] {
        let mut desk = Desk::of_version(Config::default(), logic_version);
        desk.feed(BookCommand::ListInstrument(listing()));
        desk.feed(BookCommand::NewOrder(limit(1, 1, Side::Sell, 101_00, 5)));
        let mut machine = rebuilt(&desk.fold);
        machine.corrupt(symbol(), BookSide::Sell);
        let mut outputs = Outputs::default();
        let mut apply = |command| {
            assert_eq!(machine.apply(&CONTEXT, command, &mut outputs), Step::Done);
            let messages = outputs.drain().map(|output| output.message);
            messages.collect::<Vec<_>>()
        };
        apply(BookCommand::NewOrder(limit(2, 2, Side::Sell, 101_00, 5)));
        let cancel = CancelBookOrder {
            command_id: CommandId([7; 16]),
            order_id: OrderId(1),
            account_id: AccountId(1),
            symbol: symbol(),
            deadline_us: i64::MAX,
        };
        let mut refusal = |command| {
            apply(command).into_iter().find_map(|message| match message {
                AnyMessage::AccountCommand(AccountCommand::CommandDone(done)) => {
                    assert_eq!(done.status, BookStatus::Rejected);
                    done.reason
                }
                _ => None,
            })
        };
        assert_eq!(refusal(BookCommand::CancelBookOrder(cancel)), Some(Reason::Frozen));
        assert_eq!(refusal(BookCommand::DelistInstrument(instrument_command())), None);
        assert_eq!(refusal(BookCommand::CancelBookOrder(cancel)), Some(afterwards));
    }
}

/// A sweep that breaks its book has triggered a stop, which cannot enter any more.
#[test]
fn a_stop_that_was_triggered_by_a_book_that_broke_ends() {
    let mut desk = Desk::new();
    desk.feed(BookCommand::NewOrder(limit(1, 1, Side::Sell, 101_00, 5)));
    desk.feed(BookCommand::NewOrder(NewOrder {
        order_type: OrderType::Stop,
        price_cents: None,
        stop_price_cents: Some(101_00),
        ..limit(2, 2, Side::Buy, 0, 7)
    }));
    let mut machine = rebuilt(&desk.fold);
    machine.corrupt(symbol(), BookSide::Sell);
    let mut outputs = Outputs::default();
    let order = BookCommand::NewOrder(limit(3, 3, Side::Buy, 101_00, 1));
    assert_eq!(machine.apply(&CONTEXT, order, &mut outputs), Step::Done);
    let ended = outputs.drain().find_map(|output| match output.message {
        AnyMessage::AccountCommand(AccountCommand::OrderEnded(ended)) => Some(ended),
        _ => None,
    });
    let ended = ended.unwrap();
    assert_eq!(
        (ended.order_id, ended.cause, ended.leaves_quantity),
        (OrderId(2), Reason::Frozen, 7)
    );
}

fn rebuilt(fold: &Fold<Matcher>) -> Matcher {
    let mut machine = Matcher::new(&fold.snapshot_state().setup);
    let mut cursor = Default::default();
    while let Some(slice) = fold.machine().unwrap().snapshot_slice(&mut cursor).unwrap() {
        machine.restore_slice(&slice).unwrap();
    }
    machine
}
