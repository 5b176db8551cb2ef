//! Who may do what in Kafka, as the catalogue says who writes and who reads each topic.
//!
//! A process is one principal, whatever parts of it write or read; what stands in the catalogue under
//! `writers` and `readers` are those parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Kind, Topic, all};

/// The processes, each with the parts that the catalogue names and the consumer groups that it may be in: all
/// whose names begin so.
const PRINCIPALS: [(&str, &[&str], &[&str]); 6] = [
    (
        "settlement",
        &["settlement", "publisher", "projector", "payments"],
        &[
            "brokerx-settlement",
            "brokerx-publisher",
            "brokerx-projector",
            "brokerx-payments",
            "settlement",
        ],
    ),
    ("matcher", &["matcher"], &["brokerx-matcher", "matcher"]),
    ("ingress", &["ingress"], &["brokerx-ingress", "ingress"]),
    (
        "notifier",
        &["notifier", "mailer"],
        &["brokerx-notifier", "brokerx-mail", "notifier"],
    ),
    // `brokerx-topics`, which makes the topics: it may do everything with them.
    ("operators", &["operators"], &["brokerx-topics"]),
    ("readers", &["quants", "other teams"], &["readers-"]),
];

/// Who writes the ticks of an inbox: the process that owns it.
const CLOCK: &str = "clock";

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Read and describe.
    Read,
    /// Write and describe.
    Write,
    /// Everything: make, alter, read, write.
    All,
}

/// With what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A topic.
    Topic(String),
    /// All consumer groups whose names begin so.
    Groups(String),
}

/// A right: who may do what with what. What is not granted is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// The name that the client proves, without `User:`.
    pub principal: &'static str,
    /// With what.
    pub resource: Resource,
    /// What.
    pub operation: Operation,
}

/// The rights of all principals.
pub fn acls() -> BTreeSet<Acl> {
    let mut acls = BTreeSet::new();
    let mut grant = |principal, resource, operation| {
        acls.insert(Acl {
            principal,
            resource,
            operation,
        });
    };
    let parts: BTreeMap<&str, &str> = PRINCIPALS
        .iter()
        .flat_map(|(principal, parts, _)| parts.iter().map(|part| (*part, *principal)))
        .collect();
    for topic in all() {
        let resource = || Resource::Topic(topic.name.clone());
        for writer in &topic.writers {
            grant(principal_of(&parts, topic, writer), resource(), Operation::Write);
            // What operators do over HTTP, the ingress writes for them. What else is theirs they do with the tool.
            if writer == "operators" && topic.kind == Kind::Inbox {
                grant("ingress", resource(), Operation::Write);
            }
        }
        for reader in &topic.readers {
            grant(principal_of(&parts, topic, reader), resource(), Operation::Read);
        }
        grant("operators", resource(), Operation::All);
    }
    for (principal, _, groups) in PRINCIPALS {
        for group in groups {
            grant(principal, Resource::Groups((*group).to_owned()), Operation::Read);
        }
    }
    acls
}

/// # Panics
/// When the catalogue names somebody whom nobody knows; a test shows that it does not.
fn principal_of<'a>(parts: &BTreeMap<&str, &'a str>, topic: &Topic, part: &str) -> &'a str {
    let part = if part == CLOCK { topic.owner.as_str() } else { part };
    parts
        .get(part)
        .unwrap_or_else(|| panic!("{}: {part} belongs to no process", topic.name))
}

impl fmt::Display for Acl {
    /// The arguments of `kafka-acls.sh`, without those of the connection.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "--add --force --allow-principal User:{}", self.principal)?;
        let operations: &[&str] = match self.operation {
            Operation::Read => &["Read", "Describe"],
            Operation::Write => &["Write", "Describe"],
            Operation::All => &["All"],
        };
        for operation in operations {
            write!(formatter, " --operation {operation}")?;
        }
        match &self.resource {
            Resource::Topic(name) => write!(formatter, " --topic {name}"),
            Resource::Groups(prefix) => {
                write!(formatter, " --group {prefix} --resource-pattern-type prefixed")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(principal: &str, operation: Operation) -> Vec<String> {
        let of = |acl: Acl| match acl.resource {
            Resource::Topic(name) if acl.principal == principal && acl.operation == operation => Some(name),
            _ => None,
        };
        acls().into_iter().filter_map(of).collect()
    }

    #[test]
    fn each_process_has_the_topics_of_its_parts() {
        assert_eq!(
            may("matcher", Operation::Write),
            [
                "account-commands",
                "book-commands",
                "dead-letters",
                "instruments",
                "market-data",
                "passed-offsets",
                "replies",
                "trades"
            ]
        );
        assert_eq!(may("matcher", Operation::Read), ["book-commands", "passed-offsets"]);
        assert_eq!(
            may("ingress", Operation::Write),
            ["account-commands", "auth", "book-commands"]
        );
        assert_eq!(may("readers", Operation::Write), [""; 0]);
        assert!(!may("readers", Operation::Read).contains(&"account-events".to_owned()));
        assert_eq!(may("operators", Operation::All).len(), all().len());
    }

    #[test]
    fn a_right_is_a_line_of_kafka_acls() {
        let lines: Vec<_> = acls().iter().map(Acl::to_string).collect();
        for line in [
            "--add --force --allow-principal User:ingress --operation Read --operation Describe --topic replies",
            "--add --force --allow-principal User:settlement --operation Read --operation Describe \
             --group brokerx-settlement --resource-pattern-type prefixed",
            "--add --force --allow-principal User:operators --operation All --topic trades",
        ] {
            assert!(lines.iter().any(|it| it == line), "{line} is not in {lines:#?}");
        }
    }
}
