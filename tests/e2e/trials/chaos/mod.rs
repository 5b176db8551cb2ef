//! Many clients trade while processes are killed and frozen, and records are written that no worker wrote; then
//! everything is reconciled.
//!
//! `BROKERX_TEST_LONG` makes it longer, `BROKERX_TEST_SEED` replays the choices of a run (which
//! client does what, who is hit and when; the interleaving of real processes is not replayed).

mod guard;
mod meddler;
mod monkey;
mod operator;
mod outcomes;
mod trader;
mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use brokerx_client::Cents;
use brokerx_e2e::audit::reconcile;
use brokerx_e2e::fixture::Fixture;
use brokerx_e2e::instances::end_second_instances;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use tokio::task::JoinSet;

use super::book::configure;
use guard::Guard;
use meddler::Meddler;
use operator::Operator;
use outcomes::Outcomes;
use trader::Trader;
use watcher::Watcher;

const CLIENTS: usize = 10;
const SYMBOLS: usize = 2;

fn is_long() -> bool {
    std::env::var_os("BROKERX_TEST_LONG").is_some()
}

fn duration() -> Duration {
    Duration::from_secs(if is_long() { 600 } else { 40 })
}

fn seed() -> u64 {
    std::env::var("BROKERX_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| rand::rng().random())
}

pub async fn nothing_is_lost_or_doubled_while_processes_die(fixture: &Fixture) -> anyhow::Result<()> {
    let outcome = trade_while_processes_die(fixture).await;
    // Also when it failed: the trials behind it find the system as it was.
    let healed = monkey::heal(fixture).await;
    let ended = end_second_instances(fixture).await;
    outcome.and(healed).and(ended)
}

async fn trade_while_processes_die(fixture: &Fixture) -> anyhow::Result<()> {
    let seed = seed();
    println!(
        "chaos: seed {seed}, {:?} (replay its choices with BROKERX_TEST_SEED={seed})",
        duration()
    );
    let mut symbols = Vec::new();
    for _ in 0..SYMBOLS {
        symbols.push(fixture.instrument().await?);
    }
    // Orders are collected during halts and between sessions, and auctions follow.
    configure(fixture, |config| {
        config["collect_while_halted"] = true.into();
        config["collect_while_closed"] = true.into();
    })?;
    // A second instance of each worker, so that a partition can change hands.
    for service in ["settlement", "matcher"] {
        fixture.system().start_instance(service, 1)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    // These sets end all their tasks when the trial ends early.
    let mut traders = JoinSet::new();
    let mut watchers = JoinSet::new();
    for index in 0..CLIENTS {
        let shares: Vec<(&str, i64)> = symbols.iter().map(|symbol| (symbol.as_str(), 300)).collect();
        let session = fixture.funded_client(Cents(40_000_00), &shares).await?;
        watchers.spawn(Watcher::new(session.clone(), fixture.database.clone()).watch(Arc::clone(&stop)));
        let trader = Trader::new(
            session,
            symbols.clone(),
            Xoshiro256PlusPlus::seed_from_u64(seed + index as u64),
        );
        traders.spawn(trader.trade(Arc::clone(&stop)));
    }

    let operator = Operator {
        api: fixture.api.clone(),
        key: fixture.operator_key.clone(),
        symbols: symbols.clone(),
        random: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x0BE1),
    };
    let mut operators = JoinSet::new();
    operators.spawn(operator.operate(Arc::clone(&stop)));
    let (guarded, email) = fixture.funded_client_with_email(Cents(200_00)).await?;
    let guard = Guard {
        api: fixture.api.clone(),
        key: fixture.operator_key.clone(),
        // Nobody else trades it: what it rests is cancelled and nothing else.
        symbol: fixture.instrument().await?,
        email,
        account_id: guarded.account_id,
    };
    let mut guards = JoinSet::new();
    // On a thread of its own: its futures borrow what they ask with, and cannot move between threads.
    let (runtime, until_stopped) = (tokio::runtime::Handle::current(), Arc::clone(&stop));
    guards.spawn_blocking(move || runtime.block_on(guard.guard(until_stopped)));

    let meddler = Meddler::new(fixture).await?;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0xC4A0);
    let until = Instant::now() + duration();
    let calm = AtomicBool::new(false);
    let monkey = async {
        let mut hits = 0;
        while Instant::now() < until {
            monkey::hit(fixture, &mut random).await?;
            hits += 1;
        }
        calm.store(true, Ordering::Relaxed);
        monkey::heal(fixture).await?;
        anyhow::Ok(hits)
    };
    let meddling = async { meddler.meddle(&calm).await.context("the meddler") };
    let (hits, happened) = tokio::try_join!(monkey, meddling)?;
    stop.store(true, Ordering::Relaxed);

    let mut halts = 0;
    while let Some(operator) = operators.join_next().await {
        halts += operator?.context("the operator")?;
    }
    let mut suspensions = 0;
    while let Some(guard) = guards.join_next().await {
        suspensions += guard?.context("the guard")?;
    }
    let mut asked = Vec::new();
    while let Some(trader) = traders.join_next().await {
        asked.extend(trader?.context("a trader")?);
    }
    let (findings, extent) = reconcile(&fixture.platform, &fixture.codec, &fixture.database).await?;
    if !findings.is_empty() {
        let shown: Vec<String> = findings.iter().take(20).map(ToString::to_string).collect();
        bail!("{} findings:\n{}", findings.len(), shown.join("\n"));
    }
    let Outcomes { orders, answers } = outcomes::check(&asked, &fixture.database).await?;
    let mut pushes = 0;
    while let Some(watcher) = watchers.join_next().await {
        pushes += watcher?.context("a watcher")?;
    }
    println!(
        "chaos: {hits} hits, {halts} halts, {suspensions} suspensions, {happened:?}, {orders} orders with one outcome each, as {answers} answers told, {} trades, {} events, {pushes} pushes, {} of {} records were duplicates",
        extent.trades,
        extent.events,
        extent.dropped,
        extent.records + extent.dropped
    );
    ensure!(
        extent.trades > 50 && orders > 200,
        "too little happened to prove anything"
    );
    let each = [happened.freezes, happened.passes, happened.set_aside];
    ensure!(
        !is_long() || each.iter().all(|count| *count > 0),
        "not everything happened: {happened:?}"
    );
    Ok(())
}
