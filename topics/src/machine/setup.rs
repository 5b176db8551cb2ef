//! What a machine is told about its place.

use brokerx_schemas::Config;
use serde::{Deserialize, Serialize};

/// What a machine is told about its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Names the log; a snapshot of another is refused.
    pub log_id: String,
    /// The inbox partition.
    pub partition: i32,
    /// Topic generation, part of packed ids.
    pub generation: i32,
    /// The behaviour that is in force.
    pub logic_version: i32,
    /// The version of the configuration that is in force.
    pub config_version: i32,
    /// The configuration that is in force.
    pub config: Config,
    /// Partition count of each destination topic, sorted by topic.
    pub topics: Vec<(String, i32)>,
}

impl Setup {
    /// The partition count of a destination topic.
    ///
    /// # Panics
    /// When the genesis does not name the topic: the machine would write to a topic that nobody made.
    pub fn partitions(&self, topic: &str) -> i32 {
        self.topics
            .iter()
            .find(|(name, _)| name == topic)
            .map(|(_, partitions)| *partitions)
            .unwrap_or_else(|| panic!("the genesis record does not name topic {topic}"))
    }
}
