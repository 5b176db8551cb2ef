//! Why a session ended.

use rdkafka::error::KafkaError;

/// Why a session of the projector ended. All but the defects are tried again after a back-off.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// PostgreSQL is away, or refused.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("the migrations of the projection: {0}")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The broker is away, or the log is not what the positions say.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// A log is missing.
    #[error("topic {0} does not exist; run `brokerx-topics apply` first")]
    NoTopic(&'static str),
    /// The projection is of a log with more partitions than there are.
    #[error("the projection knows {topic}-{partition}, which does not exist; it is of another log: rebuild it")]
    PartitionGone {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// Somebody else moved a position.
    #[error("another instance projected meanwhile; starting over from its positions")]
    AnotherOwner,
    /// Something took longer than its limit.
    #[error("{0} took too long")]
    Late(&'static str),
    /// The reader ended without a word: it panicked.
    #[error("the reader of the logs died")]
    ReaderDied,
    /// The system refused a thread.
    #[error("the reader's thread: {0}")]
    Thread(#[source] std::io::Error),
}
