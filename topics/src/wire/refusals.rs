//! What a broker says when it refuses.

use kafka_protocol::error::ResponseError;

/// Kafka's error code in words.
pub(super) fn named(code: i16) -> String {
    match ResponseError::try_from_code(code) {
        Some(error) => error.to_string(),
        None => format!("error {code}"),
    }
}
