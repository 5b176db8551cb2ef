//! One partition of one machine, and everything that can happen to it.

use std::collections::{BTreeMap, VecDeque};

use brokerx_schemas::Message;
use brokerx_topics::machine::{Discipline, Driver, Emission, Fold, FoldState, Identity, Machine, Setup};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use crate::log::{Inbox, Logs};

type Destination = (&'static str, i32);

/// A process that drives the partition.
struct Owner<M: Machine> {
    driver: Driver<M>,
    /// Records handed to the producer but not yet in the log; in order per destination.
    outbox: BTreeMap<Destination, VecDeque<Emission>>,
    /// The causing offsets of records that are in the log but not yet reported as delivered.
    unreported: VecDeque<i64>,
    /// A send failed: the owner takes no more records and must start over.
    failed: bool,
}

struct Snapshot {
    state: FoldState,
    slices: Vec<Vec<u8>>,
}

/// One partition of one machine: what is durable, and the processes that drive it (none after a
/// crash, two while a frozen one has not noticed that it lost the partition).
pub struct Station<M: Machine> {
    partition: i32,
    derived: Option<Setup>,
    discipline: Discipline,
    committed: i64,
    snapshots: Vec<Snapshot>,
    owners: Vec<Owner<M>>,
}

/// The station as the scheduler sees it.
pub trait Node {
    /// Applies some records of the inbox.
    fn feed(&mut self, logs: &Logs, random: &mut Xoshiro256PlusPlus);
    /// Puts some of what was sent into the logs.
    fn send(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus);
    /// Reports some acknowledgements.
    fn report(&mut self, random: &mut Xoshiro256PlusPlus);
    /// Commits what may be committed.
    fn commit(&mut self);
    /// Publishes a snapshot where the driver allows it.
    fn snapshot(&mut self);
    /// Kills every process of the partition; some of what their producers still held is lost.
    fn crash(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus);
    /// Loses one record in the middle of what is being sent; the rest may still arrive.
    fn lose(&mut self, random: &mut Xoshiro256PlusPlus);
    /// Writes a run of records twice, as a producer does whose connection was lost before it was told that they were
    /// written; what the broker still had of the lost connection may come behind that.
    fn duplicate(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus);
    /// Starts a process; with `beside`, even while another one runs.
    fn start(&mut self, beside: bool, random: &mut Xoshiro256PlusPlus);
    /// Ends the older of two processes, which still flushes some of what it holds.
    fn end_older(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus);
    /// Whether everything was read, sent and acknowledged.
    fn is_quiet(&self, logs: &Logs) -> bool;
    /// What the partition should have sent and become: a fold of its whole inbox in one go, with all rules in force.
    fn reference(&self, logs: &Logs) -> Reference;
    /// The state hash of the running process.
    fn state_hash(&self) -> u64;
}

/// The outcome of folding an inbox partition from the start.
pub struct Reference {
    /// `topic-partition` of the inbox.
    pub source: String,
    /// The state hash at its end.
    pub state_hash: u64,
    /// Everything that it sends, in order.
    pub emissions: Vec<Emission>,
}

impl<M: Machine> Station<M>
where
    M::Input: Inbox,
{
    /// A station that has done nothing yet; `derived` is the setup of a machine without a genesis record.
    pub fn new(partition: i32, derived: Option<Setup>, discipline: Discipline) -> Self {
        Self {
            partition,
            derived,
            discipline,
            committed: 0,
            snapshots: Vec::new(),
            owners: Vec::new(),
        }
    }

    fn source(&self) -> String {
        format!("{}-{}", M::Input::TOPIC, self.partition)
    }

    fn empty_fold(&self) -> Fold<M> {
        match &self.derived {
            Some(setup) => Fold::derived(setup.clone()),
            None => Fold::new(self.partition),
        }
    }

    fn owner(&mut self, random: &mut Xoshiro256PlusPlus) -> Option<&mut Owner<M>> {
        if self.owners.is_empty() {
            return None;
        }
        let index = random.random_range(0..self.owners.len());
        self.owners.get_mut(index)
    }
}

impl<M: Machine> Owner<M> {
    /// A destination for which something waits to be sent.
    fn any_waiting(&self, random: &mut Xoshiro256PlusPlus) -> Option<Destination> {
        let waiting: Vec<_> = self.outbox.iter().filter(|(_, queue)| !queue.is_empty()).collect();
        (!waiting.is_empty()).then(|| *waiting[random.random_range(0..waiting.len())].0)
    }

    fn append(&mut self, source: &str, destination: Destination, logs: &mut Logs) -> bool {
        let Some(emission) = self.outbox.get_mut(&destination).and_then(VecDeque::pop_front) else {
            return false;
        };
        append(source, &emission, logs);
        self.unreported.push_back(emission.cause_offset);
        true
    }
}

fn append(source: &str, emission: &Emission, logs: &mut Logs) {
    let identity = Identity {
        source: source.to_owned(),
        seq: emission.seq,
    };
    logs.append_sent(emission.output.partition, identity, emission.output.message.clone());
}

impl<M: Machine> Node for Station<M>
where
    M::Input: Inbox,
{
    fn feed(&mut self, logs: &Logs, random: &mut Xoshiro256PlusPlus) {
        let partition = self.partition;
        let end = logs.end(M::Input::TOPIC, partition);
        let Some(owner) = self.owner(random) else { return };
        if owner.failed {
            return;
        }
        for _ in 0..random.random_range(1..=4) {
            let mut emissions = Vec::new();
            if owner.driver.has_more() {
                owner.driver.resume(&mut emissions);
            } else if owner.driver.position() < end {
                let record = logs.read(partition, owner.driver.position());
                owner
                    .driver
                    .feed(record, &mut emissions)
                    .expect("the simulation writes no record that stops a machine");
            }
            for emission in emissions {
                let destination = (emission.output.message.topic(), emission.output.partition);
                owner.outbox.entry(destination).or_default().push_back(emission);
            }
        }
    }

    fn send(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let source = self.source();
        let Some(owner) = self.owner(random) else { return };
        let Some(destination) = owner.any_waiting(random) else {
            return;
        };
        for _ in 0..random.random_range(1..=4) {
            owner.append(&source, destination, logs);
        }
    }

    fn report(&mut self, random: &mut Xoshiro256PlusPlus) {
        let Some(owner) = self.owner(random) else { return };
        for _ in 0..random.random_range(1..=8) {
            if owner.unreported.is_empty() {
                return;
            }
            // Reports of different destinations come in any order.
            let index = random.random_range(0..owner.unreported.len());
            if let Some(offset) = owner.unreported.remove(index) {
                owner.driver.acknowledge(offset);
            }
        }
    }

    fn commit(&mut self) {
        // Only the newest owner holds the group's generation; the commit of a frozen one is refused.
        if let Some(owner) = self.owners.last() {
            self.committed = self.committed.max(owner.driver.committable());
        }
    }

    fn snapshot(&mut self) {
        let hasty = !self.discipline.wait_for_acknowledgement;
        for owner in &self.owners {
            let driver = &owner.driver;
            let allowed = driver.may_snapshot() || (hasty && !driver.has_more());
            if !allowed || driver.fold().machine().is_none() {
                continue;
            }
            let machine = owner.driver.fold().machine().expect("checked above");
            let mut cursor = M::Cursor::default();
            let mut slices = Vec::new();
            while let Some(slice) = machine.snapshot_slice(&mut cursor).expect("a state can be encoded") {
                slices.push(slice);
            }
            self.snapshots.push(Snapshot {
                state: owner.driver.fold().snapshot_state(),
                slices,
            });
        }
    }

    fn crash(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        while !self.owners.is_empty() {
            self.end_older(logs, random);
        }
    }

    fn lose(&mut self, random: &mut Xoshiro256PlusPlus) {
        let Some(owner) = self.owner(random) else { return };
        let Some(destination) = owner.any_waiting(random) else {
            return;
        };
        if let Some(queue) = owner.outbox.get_mut(&destination) {
            let index = random.random_range(0..queue.len());
            queue.remove(index);
            owner.failed = true;
        }
    }

    fn duplicate(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let source = self.source();
        let Some(owner) = self.owner(random) else { return };
        let Some(destination) = owner.any_waiting(random) else {
            return;
        };
        let queue = &owner.outbox[&destination];
        let run: Vec<_> = queue.iter().take(random.random_range(1..=8)).cloned().collect();
        for emission in &run {
            append(&source, emission, logs);
        }
        for _ in &run {
            owner.append(&source, destination, logs);
        }
        for emission in run.iter().skip(random.random_range(0..=run.len())) {
            append(&source, emission, logs);
        }
    }

    fn start(&mut self, beside: bool, random: &mut Xoshiro256PlusPlus) {
        // Without `beside` there must be no other owner; with it there may be one, which has lost the
        // partition and not noticed yet.
        let limit = if beside { 1 } else { 0 };
        if self.owners.len() > limit {
            return;
        }
        // Any snapshot is chosen, or none: newer ones may be unreadable.
        let chosen = random.random_range(0..=self.snapshots.len());
        let mut fold = match self.snapshots.get(chosen) {
            Some(snapshot) => Fold::restore(
                snapshot.state.clone(),
                self.partition,
                snapshot.slices.iter().map(Vec::as_slice),
            )
            .expect("a snapshot can be restored"),
            None => self.empty_fold(),
        };
        fold.set_discipline(self.discipline);
        let emit_from = self.committed.max(fold.position());
        self.owners.push(Owner {
            driver: Driver::new(fold, emit_from),
            outbox: BTreeMap::new(),
            unreported: VecDeque::new(),
            failed: false,
        });
    }

    fn end_older(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        if self.owners.is_empty() {
            return;
        }
        let source = self.source();
        let mut owner = self.owners.remove(0);
        let destinations: Vec<_> = owner.outbox.keys().copied().collect();
        for destination in destinations {
            let held = owner.outbox[&destination].len();
            for _ in 0..random.random_range(0..=held) {
                owner.append(&source, destination, logs);
            }
        }
    }

    fn is_quiet(&self, logs: &Logs) -> bool {
        let end = logs.end(M::Input::TOPIC, self.partition);
        self.owners.len() == 1
            && self.owners.iter().all(|owner| {
                !owner.failed
                    && owner.driver.position() == end
                    && owner.driver.committable() == end
                    && !owner.driver.has_more()
                    && owner.unreported.is_empty()
                    && owner.outbox.values().all(VecDeque::is_empty)
            })
    }

    fn reference(&self, logs: &Logs) -> Reference {
        let mut fold = self.empty_fold();
        let mut emissions = Vec::new();
        for offset in 0..logs.end(M::Input::TOPIC, self.partition) {
            fold.apply(logs.read(self.partition, offset), &mut emissions)
                .expect("a log that was folded folds again");
            while !fold.is_between_records() {
                fold.resume(&mut emissions);
            }
        }
        Reference {
            source: self.source(),
            state_hash: fold.state_hash(),
            emissions,
        }
    }

    fn state_hash(&self) -> u64 {
        self.owners.last().map_or(0, |owner| owner.driver.fold().state_hash())
    }
}
