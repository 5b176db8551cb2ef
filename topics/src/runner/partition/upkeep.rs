//! What a partition does between records: clock, progress, metrics, waiting for a schema.

use std::time::{Duration, Instant};

use brokerx_schemas::{InboxMessage, Message};
use tokio::runtime::Handle;

use super::{Partition, wall_ms};
use crate::machine::Machine;
use crate::runner::board::{Board, Standing};
use crate::runner::delivery::Tag;
use crate::runner::metrics::set_seconds;
use crate::runner::record::UnknownSchema;
use crate::runner::schema_wait::{Place, Refusal, SchemaWait};
use crate::runner::workbench::{Interruption, Workbench, dispatch};
use crate::service::{Turn, nothing_comes};
use crate::wire::Record;

/// Between two looks at a record that is ahead of the clock.
const AHEAD_PAUSE: Duration = Duration::from_secs(1);

impl<M: Machine> Partition<M> {
    /// What is done now and then, between records: the clock, progress, metrics. `high` is the end
    /// of the log as the last fetch told it; `read_to` says how far the reader has come, markers included.
    ///
    /// # Errors
    /// As [`Partition::take`].
    pub fn housekeep(
        &mut self,
        high: Option<i64>,
        read_to: impl FnOnce() -> Option<i64>,
        bench: &mut Workbench,
    ) -> Result<(), Interruption> {
        let now = Instant::now();
        let mut position = self.driver.position();
        let end = high.unwrap_or(0).max(self.high_at_open);
        // A log may end with markers, behind which no record comes to move the position.
        if position < end && self.is_reading {
            position = read_to().map_or(position, |read_to| read_to.clamp(position, end));
        }
        let has_genesis = self.driver.fold().machine().is_some();
        if position >= end && has_genesis && self.verification.is_none() {
            self.clock.caught_up(now);
            if !self.live {
                self.live = true;
                tracing::info!(machine = M::NAME, partition = self.number, position, "partition live");
                bench.board.set_standing(self.number, Standing::Live);
            }
        } else if !self.live && !self.is_blocked() {
            let why = match end {
                0 => "the log is empty: run `topics apply` first".to_owned(),
                _ => format!("at offset {position} of {end}"),
            };
            bench.board.set_standing(self.number, Standing::Starting(why));
        }
        self.tell_whether_held_up((position, end), now, &bench.board);
        bench.clock.nothing_read();
        self.tick(now, bench)?;
        self.report_progress(&bench.board);
        self.reap_snapshot(now);
        self.metrics.lag.set((end - position).max(0));
        self.metrics.position.set(self.driver.position());
        let memory = self.driver.fold().machine().map_or(0, Machine::memory_permille);
        self.metrics.memory_permille.set(memory);
        self.metrics.in_flight.set(self.driver.records_in_flight() as i64);
        set_seconds(
            &self.metrics.snapshot_age,
            now.saturating_duration_since(self.saving.saved_at),
        );
        let machine_time_ms = self.driver.fold().state().now_ms.max(0);
        set_seconds(
            &self.metrics.machine_time,
            Duration::from_millis(machine_time_ms as u64),
        );
        Ok(())
    }

    /// A partition that was live is not ready while its log goes on and nothing of it comes.
    fn tell_whether_held_up(&mut self, (position, end): (i64, i64), now: Instant, board: &Board) {
        if !self.is_live() || !self.is_reading {
            self.held_up.forget();
            return;
        }
        match self.held_up.look(position, end, now) {
            Some(Turn::Begins) => {
                let why = nothing_comes(position, end);
                tracing::error!(machine = M::NAME, partition = self.number, why, "held up");
                board.set_standing(self.number, Standing::Blocked(why));
            }
            Some(Turn::Ends) => {
                tracing::info!(machine = M::NAME, partition = self.number, position, "goes on");
                board.set_standing(self.number, Standing::Live);
            }
            None => {}
        }
    }

    fn tick(&mut self, now: Instant, bench: &mut Workbench) -> Result<(), Interruption> {
        if M::DERIVED {
            return Ok(());
        }
        let second = wall_ms() / 1_000;
        let next = self.driver.fold().machine().and_then(Machine::next_tick);
        if next.is_none_or(|next| second < next) {
            return Ok(());
        }
        let Some(tick) = self.clock.due(now, second).and_then(M::Input::tick) else {
            return Ok(());
        };
        bench.value.clear();
        bench
            .codec
            .encode(&tick, &mut bench.value)
            .map_err(|error| Interruption::Stopped(format!("a tick: {error}")))?;
        let record = Record {
            topic: M::Input::TOPIC,
            partition: self.number,
            key: None,
            value: &bench.value,
            headers: &[],
        };
        let tag = Tag::tick(self.life);
        dispatch(&mut bench.sender, tag, record, &bench.board, bench.thread)
    }

    /// Tells the ownership thread what may be committed.
    pub fn report_progress(&self, board: &Board) {
        let committable = self.driver.committable();
        // Below, an earlier life has committed already.
        if committable >= self.emit_from && self.verification.is_none() {
            board.progress(self.number, self.assignment, self.driver.position(), committable);
        }
    }

    /// A schema must be resolved before it goes on.
    pub fn wait_for_schema(&mut self, schema: UnknownSchema, bench: &Workbench) {
        let UnknownSchema {
            schema_id,
            is_of_client,
            is_of_decision,
        } = schema;
        let place = Place {
            machine: M::NAME,
            topic: M::Input::TOPIC,
            partition: self.number,
            offset: self.unread_at,
            may_decide: is_of_client,
            is_of_decision,
        };
        self.schema_wait = Some(SchemaWait::new(schema_id, place, bench.passes.clone(), Instant::now()));
        self.is_reading = false;
        self.metrics.blocked.set(1);
        let offset = self.unread_at;
        tracing::warn!(
            machine = M::NAME,
            partition = self.number,
            offset,
            schema_id,
            "blocked by a schema"
        );
        let why = format!("offset {offset}: schema {schema_id} is not known yet");
        bench.board.set_standing(self.number, Standing::Blocked(why));
    }

    /// A record is ahead of the clock: it is looked at again in a while, and nothing behind it before.
    pub fn wait_for_clock(&mut self, why: String, bench: &Workbench) {
        self.ahead_until = Some(Instant::now() + AHEAD_PAUSE);
        self.is_reading = false;
        self.metrics.blocked.set(1);
        tracing::error!(machine = M::NAME, partition = self.number, why, "blocked by a clock");
        bench.board.set_standing(self.number, Standing::Blocked(why));
    }

    /// Whether it is time to look at a record again that was ahead of the clock. What was decided meanwhile is read.
    pub fn is_time_to_look_again(&mut self, bench: &Workbench) -> bool {
        let is_time = self.ahead_until.is_some_and(|until| Instant::now() >= until);
        if is_time {
            if let Err(error) = bench.passes.refresh(bench.sender.client()) {
                tracing::warn!(
                    machine = M::NAME,
                    partition = self.number,
                    error = format!("{error:#}"),
                    "decisions are not known"
                );
            }
            bench.beat();
            self.ahead_until = None;
            self.metrics.blocked.set(0);
            // Live again once the end of the log is met.
            self.live = false;
        }
        is_time
    }

    /// Whether the schema that it waited for has just come, so that it is to be read again.
    pub fn schema_arrived(&mut self, bench: &Workbench, runtime: &Handle) -> bool {
        let Some(wait) = &mut self.schema_wait else {
            return false;
        };
        match wait.poll(Instant::now(), &bench.codec, runtime) {
            None => false,
            Some(Err(Refusal { reason, is_denied })) => {
                self.metrics.denied.set(i64::from(is_denied));
                match is_denied {
                    // Waiting alone does not help.
                    true => tracing::error!(machine = M::NAME, partition = self.number, reason, "blocked for good"),
                    false => tracing::warn!(
                        machine = M::NAME,
                        partition = self.number,
                        reason,
                        "still blocked by a schema"
                    ),
                }
                let why = format!("offset {}: {reason}", self.unread_at);
                bench.board.set_standing(self.number, Standing::Blocked(why));
                false
            }
            Some(Ok(())) => {
                self.schema_wait = None;
                self.metrics.blocked.set(0);
                self.metrics.denied.set(0);
                let standing = match self.live {
                    true => Standing::Live,
                    false => Standing::Starting("a schema arrived".to_owned()),
                };
                bench.board.set_standing(self.number, standing);
                true
            }
        }
    }
}
