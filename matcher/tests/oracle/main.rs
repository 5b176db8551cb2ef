//! Seeded random commands through the machine and through the naive book: equal command by command,
//! also across snapshots. A stream that fails is cut down to the commands that matter and printed as a
//! script for `brokerx match`.
#![allow(
    clippy::unwrap_used,
    clippy::inconsistent_digit_grouping,
    reason = "a test; cents stand behind dollars"
)]

#[path = "../common/mod.rs"]
mod common;
mod market;
mod script;
mod shrink;
mod twins;

use brokerx_matcher::naive::Said;
use brokerx_schemas::*;
use brokerx_topics::machine::Emission;
use common::*;
use market::Market;
use twins::Twins;

/// More than a million commands in each run of the tests; `BROKERX_ORACLE_SEEDS` asks for more.
const SEEDS: u64 = 128;
const COMMANDS_PER_SEED: usize = 8_000;

#[test]
fn equals_the_naive_book() {
    let mut seen = Seen::default();
    let seeds = std::env::var("BROKERX_ORACLE_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        run(seed, &mut seen);
    }
    // A stream in which nothing happens would be equal too.
    let Seen {
        trades,
        ends,
        triggers,
        auction_trades,
    } = seen;
    assert!(trades > 200_000 && ends > 10_000, "{seen:?}");
    assert!(triggers > 10_000 && auction_trades > 1_000, "{seen:?}");
}

/// What happened in all streams together.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    trades: usize,
    ends: usize,
    triggers: usize,
    auction_trades: usize,
}

impl Seen {
    fn count(&mut self, command: &BookCommand, emissions: &[Emission]) {
        let said = outcome(emissions).said;
        let count = |is: fn(&Said) -> bool| said.iter().filter(|said| is(said)).count();
        let trades = count(|said| matches!(said, Said::Trade(_)));
        self.trades += trades;
        self.ends += count(|said| matches!(said, Said::Ended(..)));
        self.triggers += count(|said| matches!(said, Said::Triggered(..)));
        if matches!(command, BookCommand::ResumeInstrument(_) | BookCommand::OpenSession(_)) {
            self.auction_trades += trades;
        }
    }
}

/// Two symbols in one machine, each with its own naive book.
fn run(seed: u64, seen: &mut Seen) {
    let mut market = Market::new(seed);
    let config = market.config();
    let second = ListInstrument {
        symbol: Symbol::new("BRK.B").unwrap(),
        tick_size_cents: 5,
        reference_price_cents: 41_05,
        band_bps: 333,
        ..listing()
    };
    let mut twins = Twins::new(&config, vec![listing(), second]);
    let mut commands = [Vec::new(), Vec::new()];
    for step in 0..COMMANDS_PER_SEED {
        let which = market.random.between(0, 1) as usize;
        let command = market.command(&twins.listings[which].clone(), &twins.books[which]);
        commands[which].push(command.clone());
        let fed = twins.feed(which, &command);
        if let Ok(emissions) = &fed {
            seen.count(&command, emissions);
        }
        if let Err(what) = fed {
            let listing = twins.listings[which].clone();
            let fails = |commands: &[BookCommand]| {
                let mut twins = Twins::new(&config, vec![listing.clone()]);
                commands.iter().any(|command| twins.feed(0, command).is_err())
            };
            let short = match fails(&commands[which]) {
                true => shrink::shrink(&commands[which], fails),
                false => Vec::new(),
            };
            panic!(
                "seed {seed} step {step}: {command:?}: {what}\n{}",
                script::of(&config, &listing, &short)
            );
        }
        if market.random.chance(1) && market.random.chance(30) {
            twins.desk.restore();
        }
        if step % 200 == 0 {
            twins.tick();
            twins.check_whole();
        }
    }
    twins.check_whole();
}

/// The same input twice gives the same records and the same hash.
#[test]
fn is_deterministic() {
    let run = || {
        let mut market = Market::new(99);
        let mut twins = Twins::new(&market.config(), vec![listing()]);
        let mut all = Vec::new();
        for step in 0..5_000 {
            let command = market.command(&listing(), &twins.books[0]);
            all.extend(twins.feed(0, &command).unwrap());
            if step % 50 == 0 {
                all.extend(twins.desk.tick());
            }
        }
        (all, twins.desk.fold.state_hash())
    };
    assert_eq!(run(), run());
}

/// A failure is cut down to what causes it: here, that two orders of one account are in the book.
#[test]
fn a_failing_stream_shrinks_to_a_script() {
    let mut market = Market::new(7);
    let mut twins = Twins::new(&market.config(), vec![listing()]);
    let mut commands = Vec::new();
    for _ in 0..500 {
        let command = market.command(&listing(), &twins.books[0]);
        twins.feed(0, &command).unwrap();
        commands.push(command);
    }
    let config = market.config();
    let fails = |commands: &[BookCommand]| {
        let mut twins = Twins::new(&config, vec![listing()]);
        commands
            .iter()
            .for_each(|command| drop(twins.feed(0, command).unwrap()));
        let book = &twins.books[0];
        let accounts = |side| {
            book.orders(side)
                .iter()
                .map(|order| order.account_id)
                .collect::<Vec<_>>()
        };
        accounts(Side::Buy)
            .iter()
            .any(|account| accounts(Side::Sell).contains(account))
    };
    assert!(fails(&commands));
    let short = shrink::shrink(&commands, fails);
    assert_eq!(short.len(), 2, "{short:?}");
    let script = script::of(&config, &listing(), &short);
    let lines: Vec<&str> = script.lines().collect();
    assert_eq!(lines.len(), 3, "{script}");
    assert!(
        lines[0].starts_with("# brokerx match --band 500 --reference 10000"),
        "{script}"
    );
    for line in &lines[1..] {
        brokerx_matcher::cli::Line::parse(line.as_bytes()).unwrap();
    }
}
