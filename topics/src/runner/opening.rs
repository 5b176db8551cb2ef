//! Where a partition starts, so that no prefix of its log is silently missing.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use brokerx_schemas::{Config, Message, SCHEMAS};
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::snapshots::{Snapshot, SnapshotStore};
use super::workbench::panic_text;
use crate::machine::{Fold, Machine, Setup};

/// How long one question to the broker may take; the thread's other partitions wait for it.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// A partition ready to read from `read_from`.
pub struct Opening<M: Machine> {
    /// Its state.
    pub fold: Fold<M>,
    /// The record that the log must contain for the state to belong to it.
    pub verification: Option<Verification>,
    /// Outputs of records below are acknowledged.
    pub emit_from: i64,
    /// The end of the log when it was opened.
    pub high: i64,
    /// Partition counts of the cluster, by topic.
    pub partition_counts: BTreeMap<String, i32>,
}

/// The record at `position - 1` of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Where it stands.
    pub offset: i64,
    /// Digest of its key, value and headers.
    pub digest: u128,
    /// The leader epoch that it was written in; -1 when the broker did not say.
    pub leader_epoch: i32,
}

/// Why a partition cannot start.
#[derive(Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Somebody does not answer: try again.
    Away(String),
    /// It must not start: the log or the snapshots are not what they should be.
    Refused(String),
}

impl From<KafkaError> for OpenError {
    fn from(error: KafkaError) -> Self {
        Self::Away(error.to_string())
    }
}

/// What the broker says of a partition.
#[derive(Clone, Copy, Debug)]
struct Log {
    low: i64,
    high: i64,
    committed: i64,
}

impl Log {
    /// Whether a fold from a snapshot at `position`, or from 0, may start. Returns the offset from
    /// which on it emits.
    fn emit_from(&self, position: i64) -> Result<i64, String> {
        let Self { low, high, committed } = *self;
        if committed > high {
            return Err(format!(
                "the log ends at {high}, but everything below {committed} was applied: the log lost records"
            ));
        }
        if position > high {
            return Err(format!(
                "the log ends at {high}, but a snapshot was taken at {position}: the log lost records or is another"
            ));
        }
        // The record before the snapshot must still be there to be compared.
        if low > 0 && position <= low {
            return Err(format!(
                "the log begins at {low}, and no usable snapshot is behind that: a prefix is missing"
            ));
        }
        Ok(position.max(committed))
    }
}

/// Opens a partition: asks the broker, loads the newest usable snapshot. Blocks the calling thread
/// for some seconds at most; `beat` is called as it gets on.
///
/// `client` is the producer's: on the consumer's connection every question would wait for the
/// answer to the fetch before it. `consumer` is asked for what the group committed.
///
/// # Errors
/// When the partition cannot start.
pub fn open<M: Machine>(
    partition: i32,
    client: &Client<impl ClientContext>,
    consumer: &BaseConsumer<impl ConsumerContext>,
    snapshots: &SnapshotStore,
    beat: impl Fn(),
) -> Result<Opening<M>, OpenError> {
    let topic = M::Input::TOPIC;
    let partition_counts = partition_counts(client)?;
    beat();
    let (low, high) = client.fetch_watermarks(topic, partition, ANSWER_LIMIT)?;
    beat();
    let mut group = TopicPartitionList::new();
    group.add_partition(topic, partition);
    let committed = match consumer.committed_offsets(group, ANSWER_LIMIT)?.elements().first() {
        Some(element) => {
            element.error()?;
            match element.offset() {
                Offset::Offset(offset) => offset,
                _ => 0,
            }
        }
        None => 0,
    };
    beat();
    let log = Log { low, high, committed };
    let restored = newest_snapshot::<M>(partition, snapshots, beat)?;
    let position = restored.as_ref().map_or(0, |(fold, _)| fold.position());
    let emit_from = log.emit_from(position).map_err(OpenError::Refused)?;
    let (fold, verification) = match restored {
        Some((fold, verification)) => (fold, Some(verification)),
        None => (
            first_fold(partition, client.fetch_cluster_id(ANSWER_LIMIT), &partition_counts)?,
            None,
        ),
    };
    tracing::info!(
        machine = M::NAME,
        partition,
        position,
        emit_from,
        low,
        high,
        committed,
        "partition opened"
    );
    Ok(Opening {
        fold,
        verification,
        emit_from,
        high,
        partition_counts,
    })
}

fn newest_snapshot<M: Machine>(
    partition: i32,
    snapshots: &SnapshotStore,
    beat: impl Fn(),
) -> Result<Option<(Fold<M>, Verification)>, OpenError> {
    let away = |error: super::RunnerError| OpenError::Away(error.to_string());
    for position in snapshots.positions(partition, &beat).map_err(away)? {
        let bytes = snapshots.load(partition, position, &beat).map_err(away)?;
        let restored = catch_unwind(AssertUnwindSafe(|| {
            let snapshot = Snapshot::decode(&bytes)?;
            let verification = Verification {
                offset: snapshot.fold.position - 1,
                digest: snapshot.fold.last_digest,
                leader_epoch: snapshot.leader_epoch,
            };
            let fold = snapshot.restore::<M>(partition, &beat)?;
            Ok::<_, crate::machine::SnapshotError>((fold, verification))
        }));
        let reason = match restored {
            Ok(Ok(restored)) => return Ok(Some(restored)),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic_text(panic.as_ref()),
        };
        tracing::error!(
            machine = M::NAME,
            partition,
            position,
            reason,
            "a snapshot cannot be used: trying an older one"
        );
    }
    Ok(None)
}

/// The state before the first record. A derived inbox has no genesis: its setup comes from the cluster.
///
/// # Errors
/// When the machine refuses what the cluster has.
pub fn first_fold<M: Machine>(
    partition: i32,
    cluster_id: Option<String>,
    partition_counts: &BTreeMap<String, i32>,
) -> Result<Fold<M>, OpenError> {
    if !M::DERIVED {
        return Ok(Fold::new(partition));
    }
    let Some(cluster_id) = cluster_id else {
        return Err(OpenError::Away("the broker does not tell the cluster's id".to_owned()));
    };
    let topics = SCHEMAS
        .iter()
        .filter_map(|(topic, _)| Some(((*topic).to_owned(), *partition_counts.get(*topic)?)));
    let mut topics: Vec<_> = topics.collect();
    topics.sort();
    let setup = Setup {
        log_id: format!("{cluster_id}/{}", M::Input::TOPIC),
        partition,
        generation: 0,
        // Not this build's highest: a replay by a later build must start alike.
        logic_version: 1,
        config_version: 0,
        config: derived_config(),
        topics,
    };
    catch_unwind(AssertUnwindSafe(|| Fold::derived(setup)))
        .map_err(|panic| OpenError::Refused(panic_text(panic.as_ref())))
}

/// The configuration of a machine whose inbox has none: the defaults of the build that was the first. Whatever becomes
/// of the defaults, this stays, as it is in the machine's state.
fn derived_config() -> Config {
    Config {
        closed_keys_per_partition_max: 15_000_000,
        ..Config::default()
    }
}

/// The partition counts of every topic of the cluster.
///
/// # Errors
/// When the broker does not answer.
pub fn partition_counts(client: &Client<impl ClientContext>) -> Result<BTreeMap<String, i32>, KafkaError> {
    let metadata = client.fetch_metadata(None, ANSWER_LIMIT)?;
    let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
    Ok(topics
        .map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32))
        .collect())
}

/// Whether the cluster's topics have as many partitions as the machine counts on.
///
/// # Errors
/// Names the first that has not. A topic that is not there is no error here: a send to it fails.
pub fn check_partition_counts(setup: &Setup, partition_counts: &BTreeMap<String, i32>) -> Result<(), String> {
    for (topic, expected) in &setup.topics {
        if let Some(found) = partition_counts.get(topic).filter(|found| *found != expected) {
            return Err(format!(
                "topic {topic} has {found} partitions, the log counts on {expected}; a keyed topic never grows"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DERIVED_CONFIG: &str = concat!(
        r#"{"currency":"USD","maker_fee_bps":2,"taker_fee_bps":5,"minimum_fee_cents":0,"payment_cents_min":100,"#,
        r#""payment_cents_max":1000000,"deposits_per_day_max":100,"order_quantity_max":10000,"#,
        r#""order_notional_cents_max":100000000,"open_orders_max":200,"closed_key_seconds":86400,"#,
        r#""closed_keys_per_account_max":100000,"closed_keys_per_partition_max":15000000,"price_cents_min":100,"#,
        r#""price_cents_max":1000000,"collar_bps":500,"band_bps":500,"snapshot_levels_max":10000,"#,
        r#""snapshot_cycle_seconds":10,"collect_while_closed":false,"collect_while_halted":false,"sessions":[],"#,
        r#""closed_keys_per_account_assured":1000,"display_percent_min":10}"#,
    );

    fn emit_from(low: i64, high: i64, committed: i64, position: i64) -> Option<i64> {
        Log { low, high, committed }.emit_from(position).ok()
    }

    #[test]
    fn what_a_log_without_configuration_is_folded_with_never_changes() {
        let text = serde_json::to_string(&derived_config()).unwrap_or_default();
        assert_eq!(
            text, DERIVED_CONFIG,
            "a fold from the beginning would have another state"
        );
    }

    #[test]
    fn a_partition_starts_only_with_its_whole_prefix() {
        for (low, high, committed, position, expected) in [
            (0, 0, 0, 0, Some(0)),
            (0, 100, 0, 0, Some(0)),
            (0, 100, 60, 0, Some(60)),
            (0, 100, 60, 40, Some(60)),
            (0, 100, 60, 80, Some(80)),
            (0, 100, 100, 100, Some(100)),
            // The log is shorter than what was applied or snapshotted.
            (0, 100, 101, 0, None),
            (0, 100, 60, 101, None),
            // The log lost its beginning.
            (1, 100, 60, 0, None),
            (50, 100, 60, 50, None),
            (50, 100, 60, 51, Some(60)),
        ] {
            let case = (low, high, committed, position);
            assert_eq!(emit_from(low, high, committed, position), expected, "{case:?}");
        }
    }
}
