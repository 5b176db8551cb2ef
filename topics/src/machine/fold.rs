//! A machine over one partition, with everything that every machine needs around it.

use std::fmt;

use brokerx_schemas::{Control, DeadLetter, InboxMessage, Message, TopicPartitions};
use xxhash_rust::xxh3::xxh3_128;

use super::{
    Context, Discipline, Edges, Emission, FoldState, Identity, Machine, Output, Outputs, Setup, SnapshotError, Step,
    Verdict,
};

/// One record of an inbox partition, decoded.
#[derive(Debug)]
pub struct Record<I> {
    /// The offset.
    pub offset: i64,
    /// Append time, milliseconds since the epoch.
    pub appended_ms: i64,
    /// The worker that wrote it; none for the clock, clients and operators.
    pub identity: Option<Identity>,
    /// Digest of key, value and headers as they stand in the log.
    pub digest: u128,
    /// The value.
    pub input: Content<I>,
}

/// The value of a record.
#[derive(Debug)]
pub enum Content<I> {
    /// As its schema says.
    Decoded(I),
    /// Bytes that are no message, judged from the bytes alone, with what goes to the dead letters.
    Malformed(Box<DeadLetter>),
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was applied.
    Yes,
    /// It was a duplicate, and changed nothing.
    Duplicate,
    /// Numbers are missing before it; it was dropped and will come again.
    Hole,
    /// A tick or a configuration that is behind; it changed nothing.
    Stale,
    /// It went to the dead letters.
    DeadLetter,
}

/// Why a partition cannot go on. Nothing was changed by the record that caused it.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The log does not begin with a genesis record.
    #[error("offset {offset}: the log must begin with a genesis record; run `topics apply` first")]
    NoGenesis {
        /// Where the genesis should have been.
        offset: i64,
    },
    /// A second genesis record.
    #[error("offset {offset}: a genesis record stands in the middle of the log")]
    SecondGenesis {
        /// Where it stands.
        offset: i64,
    },
    /// Records are missing in the log.
    #[error("offset {got} came where {expected} should have: records are missing")]
    OffsetGap {
        /// The next offset.
        expected: i64,
        /// The offset that came.
        got: i64,
    },
    /// A log that is ahead of this build.
    #[error("offset {offset}: logic version {version} is newer than this build's {known}")]
    LogicVersion {
        /// The record.
        offset: i64,
        /// What it asks for.
        version: i32,
        /// What this build knows.
        known: i32,
    },
    /// A configuration that skips a version.
    #[error("offset {offset}: configuration version {got}, expected {expected}")]
    ConfigVersion {
        /// The record.
        offset: i64,
        /// The next version.
        expected: i32,
        /// The version that came.
        got: i32,
    },
    /// A kind or a symbol that this build does not know.
    #[error("offset {offset}: a kind of record that this build does not know")]
    UnknownKind {
        /// The record.
        offset: i64,
    },
    /// A worker wrote bytes that are no message.
    #[error("offset {offset}: an undecodable record of {source_name}")]
    UndecodableWorkerRecord {
        /// The record.
        offset: i64,
        /// The worker.
        source_name: String,
    },
}

/// A machine, its place in its log and its edges.
pub struct Fold<M: Machine> {
    machine: Option<M>,
    partition: i32,
    discipline: Discipline,
    state: FoldState,
    outputs: Outputs,
    /// The record that answered `More`.
    unfinished: Option<Context>,
}

impl<M: Machine> fmt::Debug for Fold<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Fold")
            .field("machine", &M::NAME)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<M: Machine> Fold<M> {
    /// A fold at offset 0 of a log that begins with a genesis record.
    pub fn new(partition: i32) -> Self {
        let setup = Setup {
            log_id: String::new(),
            partition,
            generation: 0,
            logic_version: 0,
            config_version: 0,
            config: brokerx_schemas::Config::default(),
            topics: Vec::new(),
        };
        Self::with_machine(partition, setup, None)
    }

    /// A fold at offset 0 of a derived inbox, whose setup comes from the cluster.
    pub fn derived(setup: Setup) -> Self {
        let machine = M::new(&setup);
        Self::with_machine(setup.partition, setup, Some(machine))
    }

    fn with_machine(partition: i32, setup: Setup, machine: Option<M>) -> Self {
        Self {
            machine,
            partition,
            discipline: Discipline::FULL,
            state: FoldState {
                setup,
                position: 0,
                now_ms: 0,
                last_tick_second: 0,
                edges: Edges::default(),
                log_hash: 0,
                last_digest: 0,
                state_hash: 0,
            },
            outputs: Outputs::default(),
            unfinished: None,
        }
    }

    /// Switches rules off, to show in a test that each is needed.
    #[doc(hidden)]
    pub fn set_discipline(&mut self, discipline: Discipline) {
        self.discipline = discipline;
    }

    /// The rules in force.
    pub fn discipline(&self) -> Discipline {
        self.discipline
    }

    /// The next offset to apply.
    pub fn position(&self) -> i64 {
        self.state.position
    }

    /// The machine; none before its genesis.
    pub fn machine(&self) -> Option<&M> {
        self.machine.as_ref()
    }

    /// Place, time and edges.
    pub fn state(&self) -> &FoldState {
        &self.state
    }

    /// The machine's state hash; 0 before its genesis.
    pub fn state_hash(&self) -> u64 {
        self.machine.as_ref().map_or(0, Machine::state_hash)
    }

    /// Whether the last record is done with: only then may the fold be committed or snapshotted.
    pub fn is_between_records(&self) -> bool {
        self.unfinished.is_none()
    }

    /// Applies the record at `position`. What it sends is appended to `emissions`, numbered. While
    /// [`Fold::is_between_records`] is false, [`Fold::resume`] must be called before the next record.
    ///
    /// # Errors
    /// When the partition cannot go on; the state is as before the record.
    ///
    /// # Panics
    /// When the record before it is unfinished.
    pub fn apply(&mut self, record: Record<M::Input>, emissions: &mut Vec<Emission>) -> Result<Applied, Fault> {
        assert!(
            self.is_between_records(),
            "a record is applied while another is unfinished"
        );
        let offset = record.offset;
        if offset != self.state.position {
            return Err(Fault::OffsetGap {
                expected: self.state.position,
                got: offset,
            });
        }
        let context = Context {
            partition: self.partition,
            offset,
            appended_ms: record.appended_ms,
            now_ms: self.state.now_ms.max(record.appended_ms),
        };
        let applied = self.apply_content(&context, record.identity, record.input, emissions)?;
        self.state.position = offset + 1;
        self.state.now_ms = context.now_ms;
        self.state.last_digest = record.digest;
        let mut chained = [0; 32];
        chained[..16].copy_from_slice(&self.state.log_hash.to_le_bytes());
        chained[16..].copy_from_slice(&record.digest.to_le_bytes());
        self.state.log_hash = xxh3_128(&chained);
        Ok(applied)
    }

    /// Goes on at `offset`: what stands before it from the position on is no record, as markers of
    /// transactions and what was aborted. Whoever calls it has looked; records that are missing stop the
    /// partition. Only directly before the record at `offset`, so that a position always stands behind a
    /// record.
    ///
    /// # Panics
    /// When `offset` is behind the position, or a record is unfinished.
    pub fn pass_over(&mut self, offset: i64) {
        assert!(
            self.is_between_records() && offset >= self.state.position,
            "offset {offset} is not ahead of {}",
            self.state.position
        );
        self.state.position = offset;
    }

    fn apply_content(
        &mut self,
        context: &Context,
        identity: Option<Identity>,
        content: Content<M::Input>,
        emissions: &mut Vec<Emission>,
    ) -> Result<Applied, Fault> {
        let offset = context.offset;
        let input = match content {
            Content::Decoded(input) => input,
            Content::Malformed(dead_letter) => {
                if let Some(identity) = identity {
                    return Err(Fault::UndecodableWorkerRecord {
                        offset,
                        source_name: identity.source,
                    });
                }
                let Some(machine_setup) = self.machine.as_ref().map(|_| &self.state.setup) else {
                    return Err(Fault::NoGenesis { offset });
                };
                let inbox = format!("{}-{}", M::Input::TOPIC, self.partition);
                let partition = super::super::partition::partition_of(
                    inbox.as_bytes(),
                    machine_setup.partitions(DeadLetter::TOPIC),
                );
                self.outputs.send(partition, inbox.into_bytes(), *dead_letter);
                self.number_outputs(offset, emissions);
                return Ok(Applied::DeadLetter);
            }
        };
        if input.is_unknown() {
            return Err(Fault::UnknownKind { offset });
        }
        if let Some(control) = input.control() {
            return self.apply_control(context, control, emissions);
        }
        if self.machine.is_none() {
            return Err(Fault::NoGenesis { offset });
        }
        if let Some(identity) = identity {
            match self.state.edges.receive(&identity, self.discipline) {
                Verdict::Next => {}
                Verdict::Duplicate => return Ok(Applied::Duplicate),
                Verdict::Hole { .. } => return Ok(Applied::Hole),
            }
        }
        self.run(context, emissions, |machine, outputs| {
            machine.apply(context, input, outputs)
        });
        Ok(Applied::Yes)
    }

    fn apply_control(
        &mut self,
        context: &Context,
        control: Control<'_>,
        emissions: &mut Vec<Emission>,
    ) -> Result<Applied, Fault> {
        let offset = context.offset;
        let known = M::LOGIC_VERSION_MAX;
        match control {
            Control::Genesis(genesis) => {
                if self.machine.is_some() {
                    return Err(Fault::SecondGenesis { offset });
                }
                if offset != 0 {
                    return Err(Fault::NoGenesis { offset });
                }
                if genesis.logic_version > known {
                    return Err(Fault::LogicVersion {
                        offset,
                        version: genesis.logic_version,
                        known,
                    });
                }
                let mut topics: Vec<_> = genesis
                    .topics
                    .iter()
                    .map(|TopicPartitions { topic, partitions }| (topic.clone(), *partitions))
                    .collect();
                topics.sort();
                self.state.setup = Setup {
                    log_id: genesis.log_id.clone(),
                    partition: self.partition,
                    generation: genesis.generation,
                    logic_version: genesis.logic_version,
                    config_version: genesis.config_version,
                    config: genesis.config.clone(),
                    topics,
                };
                self.machine = Some(M::new(&self.state.setup));
                Ok(Applied::Yes)
            }
            Control::Config(change) => {
                let Some(machine) = &mut self.machine else {
                    return Err(Fault::NoGenesis { offset });
                };
                let expected = self.state.setup.config_version + 1;
                if change.version < expected {
                    return Ok(Applied::Stale);
                }
                if change.version > expected {
                    return Err(Fault::ConfigVersion {
                        offset,
                        expected,
                        got: change.version,
                    });
                }
                if change.logic_version > known || change.logic_version < self.state.setup.logic_version {
                    return Err(Fault::LogicVersion {
                        offset,
                        version: change.logic_version,
                        known,
                    });
                }
                self.state.setup.config_version = change.version;
                self.state.setup.logic_version = change.logic_version;
                self.state.setup.config = change.config.clone();
                machine.configure(&change.config, change.logic_version);
                Ok(Applied::Yes)
            }
            Control::Tick(tick) => {
                if self.machine.is_none() {
                    return Err(Fault::NoGenesis { offset });
                }
                // A tick of a second that has passed, or one that claims a time well after its own
                // append time.
                let latest = context.appended_ms / 1_000 + 2;
                if tick.second <= self.state.last_tick_second || tick.second > latest {
                    return Ok(Applied::Stale);
                }
                self.state.last_tick_second = tick.second;
                self.run(context, emissions, |machine, outputs| {
                    machine.tick(context, tick.second, outputs)
                });
                Ok(Applied::Yes)
            }
        }
    }

    /// Goes on with an unfinished record.
    ///
    /// # Panics
    /// When no record is unfinished.
    pub fn resume(&mut self, emissions: &mut Vec<Emission>) {
        let context = self
            .unfinished
            .take()
            .expect("resume follows a record that answered More");
        self.run(&context, emissions, |machine, outputs| {
            machine.resume(&context, outputs)
        });
    }

    fn run(
        &mut self,
        context: &Context,
        emissions: &mut Vec<Emission>,
        step: impl FnOnce(&mut M, &mut Outputs) -> Step,
    ) {
        let machine = self
            .machine
            .as_mut()
            .expect("callers check that the genesis was applied");
        let step = step(machine, &mut self.outputs);
        self.unfinished = (step == Step::More).then_some(*context);
        self.number_outputs(context.offset, emissions);
    }

    fn number_outputs(&mut self, cause_offset: i64, emissions: &mut Vec<Emission>) {
        for output in self.outputs.drain() {
            let Output {
                partition, ref message, ..
            } = output;
            let seq = self.state.edges.next_seq(message.topic(), partition);
            emissions.push(Emission {
                output,
                seq,
                cause_offset,
            });
        }
    }

    /// The fold's own part of a snapshot; the machine's slices follow it. Only between records.
    pub fn snapshot_state(&self) -> FoldState {
        FoldState {
            state_hash: self.state_hash(),
            ..self.state.clone()
        }
    }

    /// A fold from a snapshot.
    ///
    /// # Errors
    /// When a slice cannot be decoded, the partition is another, or the state hash does not agree.
    pub fn restore<'a>(
        state: FoldState,
        partition: i32,
        slices: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, SnapshotError> {
        if state.setup.partition != partition {
            return Err(SnapshotError::Mismatch(format!(
                "of partition {}, not {partition}",
                state.setup.partition
            )));
        }
        if state.setup.logic_version > M::LOGIC_VERSION_MAX {
            return Err(SnapshotError::Mismatch(format!(
                "logic version {} is unknown",
                state.setup.logic_version
            )));
        }
        let mut machine = M::new(&state.setup);
        for slice in slices {
            machine.restore_slice(slice)?;
        }
        if machine.state_hash() != state.state_hash {
            return Err(SnapshotError::Mismatch(
                "the restored state has another hash".to_owned(),
            ));
        }
        Ok(Self {
            machine: Some(machine),
            partition,
            discipline: Discipline::FULL,
            state,
            outputs: Outputs::default(),
            unfinished: None,
        })
    }
}
