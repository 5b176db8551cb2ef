//! How far the projection is: offsets and edges, moved in the transaction of the rows.

use std::collections::BTreeMap;

use brokerx_topics::machine::{Discipline, Edges, Identity, Verdict};
use sqlx::PgConnection;

use super::batch::{Batch, Log, LogPartition};
use super::error::ProjectorError;

/// How far one partition is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The next offset.
    pub(super) position: i64,
    /// The last number of each worker that writes to the partition.
    pub(super) edges: Edges,
}

/// A source of which nothing is known may be at any number.
const ANY_NUMBER: Discipline = Discipline {
    go_back_n: false,
    ..Discipline::FULL
};

impl Progress {
    /// Judges a record and, when it is the next, counts it. In a log that forgets, the first number
    /// of a source is its base.
    pub(super) fn judge(&mut self, log: Log, identity: &Identity) -> Verdict {
        let is_known = self.edges.received().any(|(source, _)| source == identity.source);
        let discipline = match is_known || !log.forgets() {
            true => Discipline::FULL,
            false => ANY_NUMBER,
        };
        self.edges.receive(identity, discipline)
    }
}

/// Loads how far each of the partitions is; those that are new are where their log begins, and so
/// are those that a log has left behind.
pub(super) async fn load(
    connection: &mut PgConnection,
    begins: &BTreeMap<LogPartition, i64>,
) -> Result<BTreeMap<LogPartition, Progress>, ProjectorError> {
    begin(connection, begins).await?;
    let mut progress = BTreeMap::new();
    let positions: Vec<(String, i32, i64)> =
        sqlx::query_as("SELECT topic, partition, position FROM projection.log_positions")
            .fetch_all(&mut *connection)
            .await?;
    for (topic, partition, position) in positions {
        let Some(log) = Log::of_topic(&topic).filter(|log| begins.contains_key(&(*log, partition))) else {
            return Err(ProjectorError::PartitionGone { topic, partition });
        };
        progress.insert(
            (log, partition),
            Progress {
                position,
                edges: Edges::default(),
            },
        );
    }
    let sources: Vec<(String, i32, String, i64)> =
        sqlx::query_as("SELECT topic, partition, source, seq FROM projection.log_sources")
            .fetch_all(&mut *connection)
            .await?;
    for (topic, partition, source, seq) in sources {
        let entry = Log::of_topic(&topic).and_then(|log| progress.get_mut(&(log, partition)));
        if let Some(progress) = entry {
            progress.edges.receive(
                &Identity {
                    source,
                    seq: seq as u64,
                },
                ANY_NUMBER,
            );
        }
    }
    Ok(progress)
}

/// Puts positions that are new, or before what a log still has, where the log begins.
async fn begin(connection: &mut PgConnection, begins: &BTreeMap<LogPartition, i64>) -> Result<(), ProjectorError> {
    let topics: Vec<_> = begins.keys().map(|(log, _)| log.topic()).collect();
    let partitions: Vec<_> = begins.keys().map(|(_, partition)| *partition).collect();
    let positions: Vec<_> = begins.values().copied().collect();
    // What the sources of a partition wrote in between is not known: their next number is a base.
    let left_behind: Vec<(String, i32)> = sqlx::query_as(
        "WITH moved AS ( \
             UPDATE projection.log_positions AS log SET position = new.position \
             FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS new (topic, partition, position) \
             WHERE log.topic = new.topic AND log.partition = new.partition AND log.position < new.position \
             RETURNING log.topic, log.partition \
         ), forgotten AS ( \
             DELETE FROM projection.log_sources AS source USING moved \
             WHERE source.topic = moved.topic AND source.partition = moved.partition \
         ) SELECT topic, partition FROM moved",
    )
    .bind(&topics)
    .bind(&partitions)
    .bind(&positions)
    .fetch_all(&mut *connection)
    .await?;
    for (topic, partition) in left_behind {
        tracing::warn!(topic, partition, "records were gone before they were projected");
    }
    sqlx::query(
        "INSERT INTO projection.log_positions (topic, partition, position) \
         SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[]) \
         ON CONFLICT (topic, partition) DO NOTHING",
    )
    .bind(&topics)
    .bind(&partitions)
    .bind(&positions)
    .execute(connection)
    .await?;
    Ok(())
}

/// Checks, by their sum, that all positions are where this instance left them.
///
/// # Errors
/// [`ProjectorError::AnotherOwner`] when they are not.
pub(super) async fn verify(connection: &mut PgConnection, expected_sum: i64) -> Result<(), ProjectorError> {
    let sum: i64 = sqlx::query_scalar("SELECT coalesce(sum(position), 0)::bigint FROM projection.log_positions")
        .fetch_one(connection)
        .await?;
    match sum == expected_sum {
        true => Ok(()),
        false => Err(ProjectorError::AnotherOwner),
    }
}

/// Moves the positions of a batch on, from where its records began.
///
/// # Errors
/// [`ProjectorError::AnotherOwner`] when a position is not where the batch began.
pub(super) async fn advance(connection: &mut PgConnection, batch: &Batch) -> Result<(), ProjectorError> {
    let topics: Vec<_> = batch.advances.keys().map(|(log, _)| log.topic()).collect();
    let partitions: Vec<_> = batch.advances.keys().map(|(_, partition)| *partition).collect();
    let from: Vec<_> = batch.advances.values().map(|advance| advance.from).collect();
    let to: Vec<_> = batch.advances.values().map(|advance| advance.to).collect();
    let moved = sqlx::query(
        "UPDATE projection.log_positions AS log SET position = new.position \
         FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[]) AS new (topic, partition, expected, position) \
         WHERE log.topic = new.topic AND log.partition = new.partition AND log.position = new.expected",
    )
    .bind(&topics)
    .bind(&partitions)
    .bind(&from)
    .bind(&to)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if moved != batch.advances.len() as u64 {
        return Err(ProjectorError::AnotherOwner);
    }
    if batch.sources.is_empty() {
        return Ok(());
    }
    let topics: Vec<_> = batch.sources.keys().map(|((log, _), _)| log.topic()).collect();
    let partitions: Vec<_> = batch.sources.keys().map(|((_, partition), _)| *partition).collect();
    let sources: Vec<_> = batch.sources.keys().map(|(_, source)| source.as_str()).collect();
    let numbers: Vec<_> = batch.sources.values().copied().collect();
    sqlx::query(
        "INSERT INTO projection.log_sources (topic, partition, source, seq) \
         SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::bigint[]) \
         ON CONFLICT (topic, partition, source) DO UPDATE SET seq = EXCLUDED.seq",
    )
    .bind(&topics)
    .bind(&partitions)
    .bind(&sources)
    .bind(&numbers)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_log_that_forgets_begins_with_any_number() {
        let judge = |log, numbers: &[u64]| -> Vec<Verdict> {
            let mut progress = Progress::default();
            let mut judge = |seq| {
                let source = "book-commands-0".to_owned();
                progress.judge(log, &Identity { source, seq })
            };
            numbers.iter().map(|seq| judge(*seq)).collect()
        };
        use Verdict::{Duplicate, Hole, Next};
        assert_eq!(
            judge(Log::MarketData, &[7, 8, 7, 10, 9]),
            [Next, Next, Duplicate, Hole { expected: 9 }, Next]
        );
        for log in [Log::AccountEvents, Log::Trades] {
            assert_eq!(judge(log, &[7, 1]), [Hole { expected: 1 }, Next]);
        }
    }
}
