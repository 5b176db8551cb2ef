//! Drives a [`Machine`](crate::machine::Machine) over Kafka. It knows Kafka; the machine does not.
//!
//! ```text
//!                        consumer group brokerx-<machine>
//!                                     |  who owns which partition
//!                         +-----------v-----------+   commits explicit offsets,
//!                         |  group thread         |   reads no data
//!                         |  (ownership, member)  |
//!                         +-----^-----------+-----+
//!          committable offsets  |           |  wanted partitions
//!                               |   board   |
//!                    +----------+-----------v----------------------------+
//!   inbox            |  apply thread (partition p: thread p % N)         |        other inboxes,
//!   partition p ---->|  read by assign() -> decode -> Driver -> encode --|------> public topics
//!        ^           |        ^                          ^               |            |
//!        |           |        |                          +-- acknowledge-+------------+
//!        +-- tick ---|  snapshot store (io thread) <-- snapshot          |    delivery reports
//!                    +---------------------------------------------------+
//! ```
//!
//! # The life of a partition
//! 1. The group assigns it ([`start`]'s group thread). The member pauses it at once: the group says
//!    who owns what, data is read elsewhere.
//! 2. Its apply thread opens it: newest usable snapshot at position S, else offset 0; the group's
//!    committed offset C; the bounds of the log. What does not fit together is refused.
//! 3. It reads from S - 1: the record there must be the one that the snapshot was taken behind
//!    (digest of key, value, headers; leader epoch). From S on it folds, silently below the later of
//!    S and C, and sends from there.
//! 4. It reaches the end of the log: it is live, and appends a tick once a second while its machine
//!    waits for time.
//! 5. While it lives: what is acknowledged is committed every 100 ms, and a snapshot is taken every
//!    minute: reading stops, outputs are waited for (milliseconds), the state is serialised, and a
//!    background thread stores it.
//! 6. It ends when the group takes it away, when a send of its thread fails (it starts over at 2.),
//!    or for good by a fault.
//!
//! # Invariants
//! - A commit or a snapshot at position P means: every output of every record below P is
//!   acknowledged by all in-sync replicas ([`Driver::committable`](crate::machine::Driver::committable)).
//! - A delivery report counts only for the life that sent the record: it carries a tag. A failed one
//!   ends all lives of its producer, because what came after the lost record was sent in vain.
//! - A queue that is full blocks; nothing is dropped. A record of more work than a few outputs
//!   answers `More`, and acknowledgements are taken in between.
//! - Nothing async and no disk on the apply threads, but for loading state before a partition lives.
//! - The member is polled only while every apply thread makes progress (records, idle rounds and
//!   steps of loading count): a process that hangs loses its membership, then its partitions.
//!
//! # Duplicates
//! Two processes may both work on a partition for a moment (one was frozen, or is cut off), and a
//! restart sends again what was sent but not committed. Both send the same records with the same
//! numbers, since the machine is a function of the log; receivers drop them by number
//! ([`Edges`](crate::machine::Edges)). A commit of a member whose time is over is refused by its
//! generation. Should an older commit win a race nevertheless, more is sent twice, never less.
//!
//! # What stops a partition, and what does not
//! | what | then |
//! |---|---|
//! | broker away | back-off for ever; after the session the partitions are reopened |
//! | registry away, unknown schema id | only a partition that meets an unknown id waits |
//! | bytes of a client that are no message | dead letter |
//! | offsets that hold no record: markers of transactions, what was aborted | passed over, once each was looked at ([`survey`]) |
//! | an open transaction | what stands behind it waits until it ends; the broker ends it by its time limit |
//! | bytes of a worker that are no message, a gap, a version or kind that this build does not know, a panic | the partition stops; no restart would help |
//! | a log that is shorter than what was committed, or is not that of the snapshot | the partition stops |
//! | a send that failed | the partitions of that apply thread start over |
//! | another process with the same instance name | the runner ends with an error |
//!
//! A partition that stopped shows in the log (error), `brokerx_runner_stopped`, the readiness check
//! `runner-<machine>` and the error of [`RunnerHandle::stopped`] once the runner ends. The others go on.
//!
//! # Known limits
//! - Snapshots stop one partition's thread while its state is serialised (`snapshot_pause`).
//! - A partition that opens shares its thread with live ones, which wait while it loads state.
//! - A revoked partition is dropped, not kept warm: a standby loads state when it takes over.
//! - Each marker of a transaction costs a survey of some milliseconds, in each fold of the log.
//! - After an outage of the broker a tick that was already sent may arrive late, before the current one.

mod apply_thread;
mod board;
mod clock;
mod delivery;
mod error;
mod handle;
mod member;
mod metrics;
mod native;
mod offline;
mod opening;
mod options;
mod ownership;
mod partition;
mod record;
mod schema_wait;
mod snapshots;
mod survey;
mod workbench;

pub use error::RunnerError;
pub use handle::{RunnerHandle, group_of, start};
pub use offline::{fold_topic, replay_topic};
pub use options::RunnerOptions;
pub use survey::{Between, Surveyor};
