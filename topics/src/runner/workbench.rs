//! What the partitions of one apply thread share, and what may interrupt one.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::board::Board;
use super::delivery::{SendError, Sender, Tag};
use super::record::{RecordReader, UnknownSchema};
use super::survey::{Between, Surveyor};
use crate::codec::Codec;
use crate::machine::Emission;
use crate::passes::Passes;
use crate::service::ClockWatch;
use crate::wire::Record;

/// What the partitions of one apply thread share.
pub struct Workbench {
    /// The apply thread's number.
    pub thread: usize,
    /// What the threads tell each other.
    pub board: Arc<Board>,
    /// Decodes and encodes.
    pub codec: Codec,
    /// The thread's producer.
    pub sender: Sender,
    /// Delivery reports that were not handed to their partitions yet.
    pub delivered: Vec<Tag>,
    /// Reads records.
    pub reader: RecordReader,
    /// This machine's clock beside the broker's.
    pub clock: ClockWatch,
    /// How far a record may be ahead of this machine's clock.
    pub ahead_ms_max: i64,
    /// Which offsets everybody passes.
    pub passes: Passes,
    /// Looks at what stands between offsets.
    pub surveyor: Surveyor,
    /// What the record at hand sends; empty between records.
    pub emissions: Vec<Emission>,
    /// The value being encoded.
    pub value: Vec<u8>,
}

impl Workbench {
    /// Says that the thread is alive.
    pub fn beat(&self) {
        self.board.beat(self.thread);
    }

    /// What stands in a partition from one offset up to another; the thread is alive meanwhile.
    pub fn survey(&mut self, topic: &str, partition: i32, range: (i64, i64)) -> Between {
        let (board, thread) = (&self.board, self.thread);
        self.surveyor.survey(topic, partition, range, || board.beat(thread))
    }

    /// Takes in delivery reports, waiting for some up to `wait`.
    ///
    /// # Errors
    /// When a send failed.
    pub fn collect(&mut self, wait: Duration) -> Result<(), Interruption> {
        self.beat();
        self.sender
            .collect(wait, &mut self.delivered)
            .map_err(Interruption::SendFailed)
    }
}

/// What keeps a partition from going on with its next record.
#[derive(Debug)]
pub enum Interruption {
    /// A schema must be resolved first.
    UnknownSchema(UnknownSchema),
    /// A record is ahead of this machine's clock; in words, by how much.
    Ahead(String),
    /// Records were skipped: they must be read again, from the position.
    ReadAgain,
    /// The thread's producer failed.
    SendFailed(String),
    /// The time to stop is over.
    Abandoned,
    /// The partition cannot go on and waits for an operator.
    Stopped(String),
}

/// Has a record sent; while there is no room, the thread is alive and minds the time to stop.
///
/// # Errors
/// When it was not sent.
pub fn dispatch(
    sender: &mut Sender,
    tag: Tag,
    record: Record<'_>,
    board: &Board,
    thread: usize,
) -> Result<(), Interruption> {
    let go_on = || {
        board.beat(thread);
        !board.is_past_stop()
    };
    sender.send(tag, record, go_on).map_err(|error| match error {
        SendError::Failed(reason) => Interruption::SendFailed(reason),
        SendError::Unsendable(reason) => Interruption::Stopped(reason),
        SendError::Abandoned => Interruption::Abandoned,
    })
}

/// Calls the machine. A panic is for the unforeseen: the partition stops, and its state is not used again.
///
/// # Errors
/// When it panicked.
pub fn guarded<T>(offset: i64, call: impl FnOnce() -> T) -> Result<T, Interruption> {
    catch_unwind(AssertUnwindSafe(call))
        .map_err(|panic| Interruption::Stopped(format!("offset {offset}: {}", panic_text(panic.as_ref()))))
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the machine panicked: {}", text.unwrap_or("(no text)"))
}
