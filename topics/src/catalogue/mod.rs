//! The topics as reviewed data: one YAML file each in `topics/catalogue/`.
//!
//! The same files create the topics ([`crate::apply`]), show where a running cluster has drifted,
//! and become the documentation for other teams ([`document`]). They are part of the binary: what a
//! build creates is what was reviewed with it.

mod acls;
mod document;
#[cfg(test)]
mod tests;
mod topic;

use std::sync::LazyLock;

pub use acls::{Acl, Operation, Resource, acls, principals};
pub use document::document;
pub use topic::{Cleanup, Kind, Partitions, Retention, TimestampType, Topic};

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$( ($name, include_str!(concat!("../../catalogue/", $name, ".yaml"))), )+]
    };
}

/// Name and text of every file, in the order of the flow: inboxes first.
const FILES: &[(&str, &str)] = files![
    "account-commands",
    "book-commands",
    "replies",
    "account-events",
    "orders",
    "deposits",
    "ledger",
    "auth",
    "trades",
    "market-data",
    "instruments",
    "acks",
    "dead-letters",
    "passed-offsets",
];

/// All topics, inboxes first.
///
/// # Panics
/// When a file of this build is wrong; a test shows that none is.
pub fn all() -> &'static [Topic] {
    static TOPICS: LazyLock<Vec<Topic>> = LazyLock::new(|| {
        FILES
            .iter()
            .map(|(name, text)| {
                let topic: Topic = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{name}.yaml: {error}"));
                assert_eq!(topic.name, *name, "the name of a topic is that of its file");
                topic
            })
            .collect()
    });
    &TOPICS
}

/// The topic of that name; none when the catalogue has none.
pub fn find(name: &str) -> Option<&'static Topic> {
    all().iter().find(|topic| topic.name == name)
}

/// The topic of that name.
///
/// # Panics
/// When the catalogue has none. Meant for names that stand in the code.
pub fn topic(name: &str) -> &'static Topic {
    find(name).unwrap_or_else(|| panic!("the catalogue has no topic {name}"))
}

/// The topics that a machine folds over and that begin with a genesis record.
pub fn inboxes() -> impl Iterator<Item = &'static Topic> {
    all().iter().filter(|topic| topic.kind == Kind::Inbox)
}
