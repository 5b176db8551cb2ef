//! An operator decides that a log from the future is used.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use brokerx_schemas::AcceptedTime;
use jiff::Timestamp;

use super::{Passes, count_partitions};
use crate::catalogue::{self, Kind};
use crate::codec::Codec;
use crate::service::PlatformOptions;
use crate::service::clock::now_us;

/// How long the registry may take to come.
const REGISTRY_LIMIT: Duration = Duration::from_secs(10);

/// What is decided.
#[derive(clap::Args, Clone, Debug)]
pub struct Acceptance {
    /// The inbox of a machine, such as book-commands
    pub topic: String,
    /// What was appended up to this time is used (RFC 3339, e.g. 2030-01-31T12:00:00Z)
    pub until: Timestamp,
    /// Only of this partition; of all when not given
    #[arg(long)]
    pub partition: Option<i32>,
    /// Why it is accepted, for whoever asks later
    #[arg(long)]
    pub reason: String,
    /// Who decides; your user name when not given
    #[arg(long, env = "USER")]
    pub by: String,
}

/// Writes the decision down for each partition. Returns how many these are.
///
/// # Errors
/// When the topic is no inbox, the partition is not there or the time has come already, and when Kafka or the registry
/// is away; part of it may then be written, and it may be decided again.
pub async fn accept_time(platform: &PlatformOptions, acceptance: Acceptance) -> Result<usize> {
    let partitions = count_partitions(platform, &acceptance.topic)?;
    let decisions = decisions(acceptance, partitions, now_us())?;
    let codec = Codec::connect(platform, REGISTRY_LIMIT).await?;
    let passes = Passes::new(platform.clone(), codec);
    let count = decisions.len();
    for decision in decisions {
        passes.accept(decision).await?;
    }
    Ok(count)
}

fn decisions(acceptance: Acceptance, partitions: i32, decided_us: i64) -> Result<Vec<AcceptedTime>> {
    let Acceptance {
        topic,
        until,
        partition,
        reason,
        by,
    } = acceptance;
    let found = catalogue::find(&topic).with_context(|| format!("the catalogue has no topic {topic}"))?;
    let has_machine = found.kind == Kind::Inbox || found.readers.iter().any(|reader| reader == "publisher");
    ensure!(
        has_machine,
        "{topic} is no inbox of a machine: nobody waits there for a time"
    );
    let partitions = match partition {
        None => 0..partitions,
        Some(number) if (0..partitions).contains(&number) => number..number + 1,
        Some(_) => anyhow::bail!("{topic} has partitions 0 to {}", partitions - 1),
    };
    ensure!(!reason.trim().is_empty(), "the reason is empty");
    let until_us = until.as_microsecond();
    ensure!(until_us > decided_us, "{until} has come already: nothing waits for it");
    Ok(partitions
        .map(|partition| AcceptedTime {
            topic: topic.clone(),
            partition,
            until_us,
            reason: reason.clone(),
            decided_by: by.clone(),
            decided_us,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn acceptance(topic: &str, until: &str, partition: Option<i32>, reason: &str) -> Acceptance {
        Acceptance {
            topic: topic.to_owned(),
            until: until.parse().unwrap(),
            partition,
            reason: reason.to_owned(),
            by: "me".to_owned(),
        }
    }

    #[test]
    fn a_time_that_has_not_come_is_accepted_of_each_partition_of_an_inbox() {
        let now_us = "2030-01-31T12:00:00Z".parse::<Timestamp>().unwrap().as_microsecond();
        let all = decisions(
            acceptance("book-commands", "2030-02-01T12:00:00Z", None, "a test"),
            4,
            now_us,
        )
        .unwrap();
        assert_eq!(
            all.iter().map(|decision| decision.partition).collect::<Vec<_>>(),
            (0..4).collect::<Vec<_>>()
        );
        assert!(all.iter().all(|decision| decision.until_us == now_us + 86_400_000_000));
        let one = decisions(
            acceptance("account-events", "2030-02-01T12:00:00Z", Some(3), "a test"),
            4,
            now_us,
        )
        .unwrap();
        assert_eq!((one.len(), one[0].partition), (1, 3));
        for (topic, until, partition, reason) in [
            ("nowhere", "2030-02-01T12:00:00Z", None, "a test"),
            ("trades", "2030-02-01T12:00:00Z", None, "a test"),
            ("book-commands", "2030-01-31T12:00:00Z", None, "a test"),
            ("book-commands", "2030-02-01T12:00:00Z", Some(4), "a test"),
            ("book-commands", "2030-02-01T12:00:00Z", Some(-1), "a test"),
            ("book-commands", "2030-02-01T12:00:00Z", None, " "),
        ] {
            let refused = decisions(acceptance(topic, until, partition, reason), 4, now_us);
            assert!(refused.is_err(), "{topic} {until} {partition:?} {reason:?}");
        }
    }
}
