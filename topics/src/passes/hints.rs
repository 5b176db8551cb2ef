//! What operators are told.

use brokerx_schemas::{Message, Passage};
use jiff::Timestamp;

/// What an operator is told about a record that cannot be read.
pub fn hint(topic: &str, partition: i32, offset: i64) -> String {
    format!("when it is lost for good: brokerx-topics pass {topic} {partition} {offset} (docs/operations.md)")
}

/// What an operator is told about a record that was appended at a time which has not come, milliseconds since the epoch.
pub fn from_the_future(topic: &str, partition: i32, appended_ms: i64) -> String {
    // What has no such text is not a time of any clock.
    let until = Timestamp::from_millisecond(appended_ms).map_or_else(|_| "TIME".to_owned(), |time| time.to_string());
    format!(
        "when it was the broker's clock: brokerx-topics accept-time {topic} {until} --partition {partition} \
         (docs/operations.md)"
    )
}

/// What is said in front of a record of which it is not known whether it is passed.
pub fn undecided(decision: i64, schema_id: u32) -> String {
    let topic = Passage::TOPIC;
    let hint = hint(topic, 0, decision);
    format!("whether it is passed is not known: offset {decision} of {topic} names schema id {schema_id}; {hint}")
}
