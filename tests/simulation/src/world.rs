//! The scheduler: a seed decides who does what next, and what breaks.

use std::collections::BTreeMap;

use brokerx_matcher::machine::Matcher;
use brokerx_settlement::{account::AccountMachine, publisher::Publisher};
use brokerx_topics::machine::{Discipline, Setup};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use crate::audit::{self, Finding};
use crate::log::Logs;
use crate::station::{Node, Station};
use crate::workload::{self, PARTITIONS, Workload};

/// Everything that determines a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// Steps of the scheduler before the faults end and everything drains.
    pub steps: u32,
    /// Faults in 1,000 steps.
    pub faults_per_thousand: u32,
    /// The rules in force.
    pub discipline: Discipline,
    /// Whether operators put accounts right once everything has come to rest.
    pub mends: bool,
}

impl Plan {
    /// A run of ordinary length with all rules in force.
    pub fn of_seed(seed: u64) -> Self {
        Self {
            seed,
            steps: 1_500,
            faults_per_thousand: 40,
            discipline: Discipline::FULL,
            mends: true,
        }
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What is wrong; nothing in a good run.
    pub findings: Vec<Finding>,
    /// Records in all logs.
    pub records: usize,
    /// Trades.
    pub trades: usize,
    /// Crashes, losses, duplicates and double owners that were injected.
    pub faults: u32,
    /// What happened, and how often: kinds of events and of market data, and reasons of ends.
    pub happened: BTreeMap<String, usize>,
    /// A hash of the states and logs: equal for equal plans.
    pub fingerprint: u64,
}

/// How many steps everything may take to drain; far more than it needs.
const DRAIN_STEPS_MAX: u32 = 400_000;
/// How often the operators may look until every account is put right.
const LOOKS_MAX: u32 = 40;

/// Runs a plan.
pub fn run(plan: Plan) -> Outcome {
    run_with_logs(plan).0
}

/// Runs a plan and gives its logs back, too.
pub fn run_with_logs(plan: Plan) -> (Outcome, Logs) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(plan.seed);
    let mut logs = Logs::at(workload::START_MS);
    let mut workload = Workload::default();
    let mut nodes = stations(plan);
    workload::write_genesis(plan.seed, &mut logs);
    workload.open(&mut logs, &mut random);
    for node in &mut nodes {
        node.start(false, &mut random);
    }

    let mut faults = 0;
    for _ in 0..plan.steps {
        logs.now_ms += random.random_range(0..20);
        let index = random.random_range(0..nodes.len());
        let node = &mut nodes[index];
        if random.random_range(0..1_000) < plan.faults_per_thousand {
            faults += 1;
            match random.random_range(0..5) {
                0 => node.crash(&mut logs, &mut random),
                1 => node.lose(&mut random),
                2 => node.duplicate(&mut logs, &mut random),
                3 => node.start(true, &mut random),
                _ => node.end_older(&mut logs, &mut random),
            }
            continue;
        }
        match random.random_range(0..100) {
            0..8 => workload.act(plan.seed, &mut logs, &mut random),
            8..10 => workload.answer_payments(&mut logs, &mut random),
            10..12 => workload::write_tick(&mut logs, &mut random),
            12..15 => node.start(false, &mut random),
            15..17 => node.snapshot(),
            17..22 => node.commit(),
            22..52 => node.feed(&logs, &mut random),
            52..82 => node.send(&mut logs, &mut random),
            _ => node.report(&mut random),
        }
    }

    // Every process is killed, frozen ones too, and started again; then everything drains.
    for node in &mut nodes {
        node.crash(&mut logs, &mut random);
        node.start(false, &mut random);
    }
    let mut drained = drain(&mut nodes, &mut logs, &mut workload, &mut random);
    let mut looks = 0;
    while plan.mends && drained && workload.put_right(plan.seed, &mut logs, &mut random) {
        drained = looks < LOOKS_MAX && drain(&mut nodes, &mut logs, &mut workload, &mut random);
        looks += 1;
    }
    let mut findings = audit::audit(&nodes, &logs, &workload);
    if !drained {
        findings.push(Finding(format!(
            "not drained after {DRAIN_STEPS_MAX} steps, or not put right after {LOOKS_MAX} looks"
        )));
    }
    let outcome = Outcome {
        findings,
        records: brokerx_schemas::SCHEMAS
            .iter()
            .map(|(topic, _)| logs.records(topic).count())
            .sum(),
        trades: logs.deduplicated("trades").len(),
        faults,
        happened: audit::happened(&logs),
        fingerprint: audit::fingerprint(&nodes, &logs),
    };
    (outcome, logs)
}

fn drain(
    nodes: &mut [Box<dyn Node>],
    logs: &mut Logs,
    workload: &mut Workload,
    random: &mut Xoshiro256PlusPlus,
) -> bool {
    for step in 0..DRAIN_STEPS_MAX {
        let index = random.random_range(0..nodes.len());
        let node = &mut nodes[index];
        match random.random_range(0..4) {
            0 => node.feed(logs, random),
            1 => node.send(logs, random),
            2 => node.report(random),
            _ => node.commit(),
        }
        if step % 64 == 0 {
            workload.answer_payments(logs, random);
            if workload.is_quiet(logs) && nodes.iter().all(|node| node.is_quiet(logs)) {
                return true;
            }
        }
    }
    false
}

fn stations(plan: Plan) -> Vec<Box<dyn Node>> {
    let mut nodes: Vec<Box<dyn Node>> = Vec::new();
    for partition in 0..PARTITIONS {
        nodes.push(Box::new(Station::<AccountMachine>::new(
            partition,
            None,
            plan.discipline,
        )));
        nodes.push(Box::new(Station::<Matcher>::new(partition, None, plan.discipline)));
        nodes.push(Box::new(Station::<Publisher>::new(
            partition,
            Some(derived_setup(plan.seed, partition)),
            plan.discipline,
        )));
    }
    nodes
}

fn derived_setup(seed: u64, partition: i32) -> Setup {
    let genesis = workload::genesis(seed);
    Setup {
        log_id: genesis.log_id,
        partition,
        generation: genesis.generation,
        logic_version: genesis.logic_version,
        config_version: genesis.config_version,
        config: genesis.config,
        topics: genesis
            .topics
            .into_iter()
            .map(|topic| (topic.topic, topic.partitions))
            .collect(),
    }
}
