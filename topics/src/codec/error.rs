//! What can go wrong between a message and its bytes.

/// Why a codec cannot be made, a message cannot be encoded or a schema id cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The address of the registry is unusable, or the credentials for it.
    #[error("the schema registry at {url:?} cannot be asked: {reason}")]
    Address {
        /// The address as configured.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry did not answer, or answered with an error.
    #[error("the schema registry at {url} does not answer as it should: {reason}")]
    Registry {
        /// The address.
        url: String,
        /// The last answer.
        reason: String,
    },
    /// The registry answers, and has no such schema.
    #[error("the schema registry has no schema with id {schema_id}")]
    NoSuchSchema {
        /// The id.
        schema_id: u32,
    },
    /// The registry does not know a schema of this build.
    #[error("subject {subject} does not have this build's schema; run `brokerx-topics apply` first")]
    NotRegistered {
        /// The subject.
        subject: String,
    },
    /// The message does not fit its schema: a defect of this build.
    #[error("a message of topic {topic} cannot be encoded: {reason}")]
    Encode {
        /// The topic.
        topic: &'static str,
        /// Where it does not fit.
        reason: String,
    },
    /// The message is larger than a value may be.
    #[error("a message of topic {topic} takes {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The topic.
        topic: &'static str,
        /// What it takes.
        bytes: usize,
        /// What it may take.
        limit: usize,
    },
}

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They never will be one: judged from the bytes and the immutable schema that they name.
    #[error("malformed: {0}")]
    Malformed(String),
    /// They name a schema that is not cached yet: resolve it with back-off, and never skip the record.
    #[error("schema id {0} is not known yet")]
    UnknownSchema(u32),
    /// They name a schema that the registry denies, each time that it was asked. Never skip the record for
    /// that alone: see [`passes`](crate::passes).
    #[error("the schema registry has no schema with id {0}")]
    DeniedSchema(u32),
}
