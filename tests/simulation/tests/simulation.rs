//! Thousands of seeds end without a finding. When a rule of the edges is switched off, the audit notices.

use std::collections::BTreeMap;

use brokerx_simulation::world::{Plan, run};
use brokerx_topics::machine::Discipline;

/// Seeds in an ordinary run of the tests; `BROKERX_TEST_LONG` asks for twenty times as many.
fn seeds() -> u64 {
    if std::env::var_os("BROKERX_TEST_LONG").is_some() {
        60_000
    } else {
        3_000
    }
}

/// Kinds of events and of market data, and reasons, each of which must occur often.
const HAPPENS: [&str; 35] = [
    "OrderReplaced",
    "OrderTriggered",
    "OrderExpired",
    "CancelAllRequested",
    "KillSwitchChanged",
    "DayClosed",
    "CandleUpdate",
    "InstrumentStatusChange",
    "BookSnapshot",
    "ExpiredRequest",
    "InsufficientFunds",
    "InsufficientShares",
    "MarketClosed",
    "Halted",
    "PostOnlyWouldCross",
    "FokUnfillable",
    "SelfTrade",
    "NoLiquidity",
    "CancelledByClient",
    "CancelledAll",
    "SessionEnded",
    "Delisted",
    "AccountNotActive",
    "StatusChanged",
    "Frozen",
    "Thawed",
    "BalanceAdjusted",
    "Fill passed",
    "Answer passed",
    "End passed",
    "missing trade corrected",
    "forged trade corrected",
    "swept",
    "LogicVersion2",
    "LogicVersion3",
];

#[test]
fn every_seed_ends_without_a_finding() {
    let (mut trades, mut faults) = (0, 0);
    let mut happened: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..seeds() {
        let outcome = run(Plan::of_seed(seed));
        assert!(outcome.findings.is_empty(), "seed {seed}: {:#?}", outcome.findings);
        trades += outcome.trades;
        faults += u64::from(outcome.faults);
        for (what, count) in outcome.happened {
            *happened.entry(what).or_default() += count;
        }
    }
    // A run in which nothing happens proves nothing.
    assert!(trades as u64 > seeds() * 3, "only {trades} trades");
    assert!(faults > seeds() * 10, "only {faults} faults");
    for what in HAPPENS {
        let count = happened.get(what).copied().unwrap_or(0);
        assert!(
            count as u64 > seeds() / 20,
            "{what} happened {count} times: {happened:#?}"
        );
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 7, 4_711] {
        assert_eq!(
            run(Plan::of_seed(seed)).fingerprint,
            run(Plan::of_seed(seed)).fingerprint,
            "seed {seed}"
        );
    }
}

fn is_missed(discipline: Discipline) -> bool {
    finds(|seed| Plan {
        discipline,
        ..Plan::of_seed(seed)
    })
}

fn finds(plan: impl Fn(u64) -> Plan) -> bool {
    (0..200).any(|seed| !run(plan(seed)).findings.is_empty())
}

#[test]
fn without_operators_the_audit_finds_what_went_astray() {
    assert!(finds(|seed| Plan {
        mends: false,
        ..Plan::of_seed(seed)
    }));
}

#[test]
fn without_removal_of_duplicates_the_audit_finds_something() {
    assert!(is_missed(Discipline {
        remove_duplicates: false,
        ..Discipline::FULL
    }));
}

#[test]
fn without_go_back_n_the_audit_finds_something() {
    assert!(is_missed(Discipline {
        go_back_n: false,
        ..Discipline::FULL
    }));
}

#[test]
fn without_waiting_for_acknowledgement_the_audit_finds_something() {
    assert!(is_missed(Discipline {
        wait_for_acknowledgement: false,
        ..Discipline::FULL
    }));
}
