//! What operators are told.

use brokerx_schemas::{Message, Passage};

/// What an operator is told about a record that cannot be read.
pub fn hint(topic: &str, partition: i32, offset: i64) -> String {
    format!("when it is lost for good: brokerx-topics pass {topic} {partition} {offset} (docs/operations.md)")
}

/// What is said in front of a record of which it is not known whether it is passed.
pub fn undecided(decision: i64, schema_id: u32) -> String {
    let topic = Passage::TOPIC;
    let hint = hint(topic, 0, decision);
    format!("whether it is passed is not known: offset {decision} of {topic} names schema id {schema_id}; {hint}")
}
