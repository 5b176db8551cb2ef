//! The reader of this instance's partition of `replies`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use brokerx_schemas::Reply;
use brokerx_topics::reader::{Record, Sink};
use brokerx_topics::service::Check;

use super::{Pending, Told};

/// Hands each outcome to the request that waits for it.
///
/// An outcome is used whatever its number ([`Numbering::Counted`]): it names its command, a request takes
/// only one, and outcomes do not build on one another. If numbers counted, a reader that starts behind a
/// hole would take the records that are sent again for duplicates, and requests would wait in vain.
///
/// [`Numbering::Counted`]: brokerx_topics::reader::Numbering::Counted
pub struct ReplySink {
    pending: Arc<Pending>,
    told: Arc<Told>,
    replies_flow: Arc<AtomicBool>,
    check: Check,
}

impl ReplySink {
    /// Resolves `pending`, or tells `told` of what nobody waits for any more; sets `replies_flow` and `check` once the partition's end is being read.
    pub fn new(pending: Arc<Pending>, told: Arc<Told>, replies_flow: Arc<AtomicBool>, check: Check) -> Self {
        Self {
            pending,
            told,
            replies_flow,
            check,
        }
    }
}

impl Sink<Reply> for ReplySink {
    fn started(&mut self, partitions: &[i32]) {
        self.replies_flow.store(false, Ordering::Release);
        self.check
            .set(false, &format!("looking for the end of partition {partitions:?}"));
    }

    fn record(&mut self, record: Record<Reply>) {
        if let Err(reply) = self.pending.resolve(record.message) {
            self.told.came_late(&reply);
        }
    }

    fn caught_up(&mut self, partition: i32) {
        self.replies_flow.store(true, Ordering::Release);
        self.check
            .set(true, &format!("reading the end of partition {partition}"));
    }
}
