//! An operator decides that an offset is passed.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use brokerx_schemas::{Message, Passage, PassedOffset};
use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use super::{Passes, client, count_partitions};
use crate::catalogue;
use crate::codec::Codec;
use crate::service::clock::now_us;
use crate::service::{Drained, PlatformOptions, kafka};
use crate::tail::{Unreadable, unreadable};

/// One question to the broker takes no longer than this.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long the registry may take to come.
const REGISTRY_LIMIT: Duration = Duration::from_secs(10);
/// What the names of our consumer groups begin with.
const OUR_GROUPS: &str = "brokerx-";

/// What is decided.
#[derive(clap::Args, Clone, Debug)]
pub struct Decision {
    /// The topic
    pub topic: String,
    /// Its partition
    pub partition: i32,
    /// The offset of the record that nobody can read
    pub offset: i64,
    /// Why it is passed, for whoever asks later
    #[arg(long)]
    pub reason: String,
    /// Who decides; your user name when not given
    #[arg(long, env = "USER")]
    pub by: String,
    /// Also when its bytes are good Avro: for a record that has another topic's schema
    #[arg(long)]
    pub anyway: bool,
}

/// Writes the decision down, once nothing speaks against it: the record is there, nobody can read it, and
/// nobody who may have used it is behind it already. Returns what stood in the way of reading it.
///
/// # Errors
/// When something does, or Kafka or the registry is away.
pub async fn decide(platform: &PlatformOptions, decision: Decision) -> Result<String> {
    let Decision {
        topic,
        partition,
        offset,
        reason,
        by,
        anyway,
    } = decision;
    let found = catalogue::find(&topic).with_context(|| format!("the catalogue has no topic {topic}"))?;
    let partitions = count_partitions(platform, &topic)?;
    ensure!(
        (0..partitions).contains(&partition),
        "{topic} has partitions 0 to {}",
        partitions - 1
    );
    ensure!(!reason.trim().is_empty(), "the reason is empty");
    ensure!(
        offset > 0 || found.kind != catalogue::Kind::Inbox,
        "offset 0 of an inbox is its genesis: without it there is no log"
    );
    let codec = Codec::connect(platform, REGISTRY_LIMIT).await?;
    let (schema_id, found) = unreadable(platform, &topic, partition, offset).await?;
    if let Some(schema_id) = schema_id {
        // So that a decision is judged by what it says, also when the registry is slow.
        codec.resolve(schema_id).await?;
    }
    let is_foreign = schema_id.is_some_and(|schema_id| codec.is_foreign(&topic, schema_id));
    let may_have_been_used = may_have_been_used(found.as_ref(), is_foreign);
    let passes = Passes::new(platform.clone(), codec);
    if passes.look(&topic, partition, offset).await? {
        bail!("it is passed already");
    }
    let wrong = match found {
        // It decides something or nothing by more than its bytes: by its key, and by what this build knows.
        _ if topic == Passage::TOPIC => passes
            .why_it_decides_nothing(offset)
            .context("it is a decision that can be read: it stands for ever")?,
        Some(Unreadable::Bytes(wrong) | Unreadable::Schema(wrong)) => wrong,
        None if anyway => "it is of another topic".to_owned(),
        None => bail!("its record can be read: nobody needs to pass it (see `tail --from {offset} --limit 1`)"),
    };
    if may_have_been_used && let Some((group, committed)) = ahead(platform, &topic, partition, offset)? {
        bail!("{group} has used everything below {committed}: to pass {offset} now would make replays differ from it");
    }
    let passed = PassedOffset {
        topic,
        partition,
        offset,
        reason: format!("{reason} ({wrong})"),
        decided_by: by,
        decided_us: now_us(),
    };
    passes.record(passed).await?;
    Ok(wrong)
}

/// Whether a group that is behind a record may have used it. It cannot have used bytes that nobody could ever read, nor
/// a record of another topic: it has buried them or left them out, and does the same in a replay that passes them. So
/// they may be passed at any time, for those who still wait in front of them. What is good Avro of its topic, or of a
/// schema that the registry may have had, may have been used.
fn may_have_been_used(found: Option<&Unreadable>, is_foreign: bool) -> bool {
    match found {
        Some(Unreadable::Bytes(_)) => false,
        Some(Unreadable::Schema(_)) => true,
        None => !is_foreign,
    }
}

/// One of our groups that is behind an offset already, and how far.
fn ahead(platform: &PlatformOptions, topic: &str, partition: i32, offset: i64) -> Result<Option<(String, i64)>> {
    let asker = client(platform)?;
    let groups = asker
        .fetch_group_list(None, ANSWER_LIMIT)
        .context("the consumer groups cannot be listed")?;
    for group in groups
        .groups()
        .iter()
        .filter(|group| group.name().starts_with(OUR_GROUPS))
    {
        let member: Drained = kafka::consumer_config(platform, group.name()).create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let committed = member
            .committed_offsets(list, ANSWER_LIMIT)
            .with_context(|| format!("what {} has committed cannot be read", group.name()))?;
        for element in committed.elements() {
            if let Offset::Offset(committed) = element.offset()
                && committed > offset
            {
                return Ok(Some((group.name().to_owned(), committed)));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_could_ever_read_was_not_used() {
        let why = || "a test".to_owned();
        assert!(!may_have_been_used(Some(&Unreadable::Bytes(why())), false));
        assert!(may_have_been_used(Some(&Unreadable::Schema(why())), false));
        assert!(!may_have_been_used(None, true), "of another topic");
        assert!(may_have_been_used(None, false), "of its own");
    }
}
