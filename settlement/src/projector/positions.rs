//! How far the projection is: offsets and edges, moved in the transaction of the rows.

use std::collections::BTreeMap;

use brokerx_topics::machine::{Discipline, Edges, Identity};
use sqlx::PgConnection;

use super::ProjectorError;
use super::batch::{Batch, Log, LogPartition};

/// How far one partition is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The next offset.
    pub(super) position: i64,
    /// The last number of each worker that writes to the partition.
    pub(super) edges: Edges,
}

/// Loads how far each of the partitions is; those that are new begin at 0.
pub(super) async fn load(
    connection: &mut PgConnection,
    partitions: &[LogPartition],
) -> Result<BTreeMap<LogPartition, Progress>, ProjectorError> {
    let topics: Vec<_> = partitions.iter().map(|(log, _)| log.topic()).collect();
    let numbers: Vec<_> = partitions.iter().map(|(_, partition)| *partition).collect();
    sqlx::query(
        "INSERT INTO projection.log_positions (topic, partition, position) \
         SELECT topic, partition, 0 FROM unnest($1::text[], $2::integer[]) AS new (topic, partition) \
         ON CONFLICT (topic, partition) DO NOTHING",
    )
    .bind(&topics)
    .bind(&numbers)
    .execute(&mut *connection)
    .await?;

    let mut progress = BTreeMap::new();
    let positions: Vec<(String, i32, i64)> =
        sqlx::query_as("SELECT topic, partition, position FROM projection.log_positions")
            .fetch_all(&mut *connection)
            .await?;
    for (topic, partition, position) in positions {
        let Some(log) = Log::of_topic(&topic).filter(|log| partitions.contains(&(*log, partition))) else {
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
    // A fresh edge that accepts any number is at that number afterwards.
    let anywhere = Discipline {
        go_back_n: false,
        ..Discipline::FULL
    };
    for (topic, partition, source, seq) in sources {
        let entry = Log::of_topic(&topic).and_then(|log| progress.get_mut(&(log, partition)));
        if let Some(progress) = entry {
            progress.edges.receive(
                &Identity {
                    source,
                    seq: seq as u64,
                },
                anywhere,
            );
        }
    }
    Ok(progress)
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
