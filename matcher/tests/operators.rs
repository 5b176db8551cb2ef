//! Operators list, halt and resume instruments, each command once.
#![allow(
    clippy::unwrap_used,
    clippy::inconsistent_digit_grouping,
    reason = "a test; cents stand behind dollars"
)]

mod common;

use brokerx_schemas::*;
use brokerx_topics::machine::Emission;
use common::*;

fn instruments(emissions: &[Emission]) -> Vec<Instrument> {
    let records = emissions.iter().filter_map(|emission| match &emission.output.message {
        AnyMessage::InstrumentEvent(InstrumentEvent::Instrument(instrument)) => Some(instrument.clone()),
        _ => None,
    });
    records.collect()
}

fn with_key(key: &str) -> ListInstrument {
    ListInstrument {
        idempotency_key: Some(key.to_owned()),
        ..listing()
    }
}

#[test]
fn a_listing_is_published_and_answered() {
    let mut desk = Desk::empty();
    let emissions = desk.feed(BookCommand::ListInstrument(listing()));
    let [instrument] = instruments(&emissions).try_into().unwrap();
    assert_eq!((instrument.status, instrument.version), (InstrumentStatus::Open, 1));
    let answer = reply(&emissions);
    assert_eq!((answer.kind, answer.replayed), (ReplyKind::Instrument, false));
    assert_eq!(answer.instrument, Some(instrument));
    let [MarketData::BookSnapshot(snapshot)] = &market_data(&emissions)[..] else {
        panic!("the reference price is known at once");
    };
    assert_eq!((snapshot.sequence, snapshot.reference_price_cents), (0, 100_00));
}

#[test]
fn a_listing_is_checked() {
    for (name, command, reason) in [
        (
            "tick",
            ListInstrument {
                tick_size_cents: 0,
                ..listing()
            },
            Reason::InvalidPrice,
        ),
        (
            "reference off the tick",
            ListInstrument {
                tick_size_cents: 7,
                ..listing()
            },
            Reason::InvalidPrice,
        ),
        (
            "reference out of range",
            ListInstrument {
                reference_price_cents: 10,
                ..listing()
            },
            Reason::InvalidPrice,
        ),
        (
            "band",
            ListInstrument {
                band_bps: 10_001,
                ..listing()
            },
            Reason::InvalidOrder,
        ),
        (
            "name",
            ListInstrument {
                name: String::new(),
                ..listing()
            },
            Reason::InvalidOrder,
        ),
    ] {
        let mut desk = Desk::empty();
        let emissions = desk.feed(BookCommand::ListInstrument(command));
        assert_eq!(reply(&emissions).refusal.unwrap().reason, reason, "{name}");
        assert_eq!(emissions.len(), 1, "{name}: nothing but the reply");
    }
}

#[test]
fn a_repeated_listing_gets_the_same_outcome() {
    let mut desk = Desk::empty();
    let list = |desk: &mut Desk, command| reply(&desk.feed(BookCommand::ListInstrument(command)));
    let first = list(&mut desk, with_key("one"));
    let again = list(&mut desk, with_key("one"));
    assert_eq!((again.replayed, &again.instrument), (true, &first.instrument));
    let other = ListInstrument {
        name: "Other".to_owned(),
        ..with_key("one")
    };
    assert_eq!(
        list(&mut desk, other.clone()).refusal.unwrap().reason,
        Reason::IdempotencyMismatch
    );
    // Another key: what counts is the instrument.
    let same = list(&mut desk, with_key("two"));
    assert_eq!(same.instrument, first.instrument);
    let other = ListInstrument {
        idempotency_key: Some("three".to_owned()),
        ..other
    };
    assert_eq!(
        list(&mut desk, other.clone()).refusal.unwrap().reason,
        Reason::AlreadyListed
    );
    // A refusal is a decision too, and it survives a restart.
    desk.restore();
    let refused = list(&mut desk, other);
    assert_eq!(
        (refused.replayed, refused.refusal.unwrap().reason),
        (true, Reason::AlreadyListed)
    );
    // The keys of one operator mean nothing to another.
    let colleague = ListInstrument {
        operator: "colleague".to_owned(),
        ..with_key("three")
    };
    assert!(list(&mut desk, colleague).refusal.is_none());
}

#[test]
fn a_key_is_forgotten_after_its_time() {
    let mut desk = Desk::empty();
    desk.feed(BookCommand::ListInstrument(with_key("one")));
    let other = ListInstrument {
        name: "Other".to_owned(),
        ..with_key("one")
    };
    desk.now_ms += Config::default().closed_key_seconds * 1_000;
    desk.tick();
    let reason = |desk: &mut Desk| {
        reply(&desk.feed(BookCommand::ListInstrument(other.clone())))
            .refusal
            .unwrap()
            .reason
    };
    assert_eq!(reason(&mut desk), Reason::AlreadyListed, "the key is free again");
}

#[test]
fn a_late_operator_command_does_nothing() {
    let mut desk = Desk::empty();
    let mut late = with_key("one");
    late.meta.deadline_us = NOW_MS * 1_000 - 1;
    let refusal = reply(&desk.feed(BookCommand::ListInstrument(late))).refusal.unwrap();
    assert_eq!(refusal.reason, Reason::ExpiredRequest);
    let emissions = desk.feed(BookCommand::ListInstrument(with_key("one")));
    assert!(!reply(&emissions).replayed, "its key is not used up");
}

#[test]
fn halt_and_resume_are_published_once() {
    let mut desk = Desk::new();
    let note = Some("news pending".to_owned());
    let halt = InstrumentCommand {
        note: note.clone(),
        ..instrument_command()
    };
    let emissions = desk.feed(BookCommand::HaltInstrument(halt.clone()));
    let [MarketData::InstrumentStatusChange(change)] = &market_data(&emissions)[..] else {
        panic!("one status change");
    };
    assert_eq!(
        (change.sequence, change.status, &change.note),
        (1, InstrumentStatus::Halted, &note)
    );
    assert_eq!(instruments(&emissions)[0].version, 2);
    let again = desk.feed(BookCommand::HaltInstrument(halt));
    assert_eq!(again.len(), 1, "what is so already only gets its reply");
    assert_eq!(reply(&again).instrument.unwrap().status, InstrumentStatus::Halted);
    let unknown = InstrumentCommand {
        symbol: Symbol::new("NONE").unwrap(),
        ..instrument_command()
    };
    let refused = reply(&desk.feed(BookCommand::ResumeInstrument(unknown)));
    assert_eq!(refused.refusal.unwrap().reason, Reason::UnknownSymbol);
}
