//! One run of this command at a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rdkafka::consumer::Consumer;

use crate::catalogue::{Partitions, topic};
use crate::service::{Drained, PlatformOptions, kafka};

/// A topic with one partition: its owner in the group holds the lock.
const TOPIC: &str = "dead-letters";
const GROUP: &str = "brokerx-topics";
/// A holder that does not poll keeps its partition this long, whoever else joins.
const HOLD_LIMIT: Duration = Duration::from_secs(600);

/// Held until it is dropped, or 10 minutes.
pub(super) struct Lock {
    _member: Drained,
}

impl Lock {
    /// Waits until no other run holds the lock.
    ///
    /// # Errors
    /// When the limit passes.
    pub(super) fn acquire(platform: &PlatformOptions, limit: Duration) -> Result<Self> {
        debug_assert_eq!(topic(TOPIC).partitions, Partitions::Fixed(1));
        let mut config = kafka::consumer_config(platform, GROUP);
        config
            .set("session.timeout.ms", "6000")
            .set("max.poll.interval.ms", HOLD_LIMIT.as_millis().to_string())
            // All or nothing: the second member gets no partition before the first has left.
            .set("partition.assignment.strategy", "range")
            .set("auto.offset.reset", "latest");
        let member: Drained = config.create()?;
        member.subscribe(&[TOPIC])?;
        let started = Instant::now();
        let mut told = false;
        while started.elapsed() < limit {
            // Polling joins the group; errors on the way are temporary, or last until the limit.
            let _ = member.poll(Duration::from_millis(50));
            let assigned = member.assignment()?;
            if assigned.count() > 0 {
                member.pause(&assigned)?;
                return Ok(Self { _member: member });
            }
            if !told && started.elapsed() > Duration::from_secs(3) {
                tracing::info!("waiting: another run of this command may hold the lock");
                told = true;
            }
        }
        bail!("another run of this command holds the lock (consumer group {GROUP}) for more than {limit:?}")
    }
}
