//! Who may do what in Kafka, as the catalogue says who writes and who reads each topic.
//!
//! A process is one principal, whatever parts of it write or read; what stands in the catalogue under
//! `writers` and `readers` are those parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Kind, Topic, all};

/// Whom a broker knows.
struct Principal {
    name: &'static str,
    /// The parts of it that the catalogue names.
    parts: &'static [&'static str],
    /// The consumer groups that it may be in, or ask: all whose names begin so.
    groups: &'static [(&'static str, Operation)],
    /// Topics that are its own and in no catalogue: it makes, writes and reads them.
    own_topics: &'static [&'static str],
}

/// Where each process asks which records everybody passes: a client without a membership.
const PASSES: (&str, Operation) = ("brokerx-passes", Operation::Describe);

const PRINCIPALS: [Principal; 7] = [
    Principal {
        name: "settlement",
        parts: &["settlement", "publisher", "projector", "payments"],
        groups: &[
            ("brokerx-settlement", Operation::Read),
            ("brokerx-publisher", Operation::Read),
            ("brokerx-projector", Operation::Read),
            ("brokerx-payments", Operation::Read),
            PASSES,
        ],
        own_topics: &[],
    },
    Principal {
        name: "matcher",
        parts: &["matcher"],
        groups: &[("brokerx-matcher", Operation::Read), PASSES],
        own_topics: &[],
    },
    Principal {
        name: "ingress",
        parts: &["ingress"],
        // A reader of a topic names a group that it never joins.
        groups: &[("ingress-", Operation::Describe), PASSES],
        own_topics: &[],
    },
    Principal {
        name: "notifier",
        parts: &["notifier", "mailer"],
        groups: &[
            ("brokerx-mail", Operation::Read),
            ("notifier-", Operation::Describe),
            PASSES,
        ],
        own_topics: &[],
    },
    // `brokerx-topics`, which makes the topics: it may do everything with them.
    Principal {
        name: OPERATORS,
        parts: &["operators"],
        groups: &[
            // Its lock.
            ("brokerx-topics", Operation::Read),
            // How far everybody is, before a record is passed.
            ("brokerx-", Operation::Describe),
        ],
        own_topics: &["brokerx-configured"],
    },
    Principal {
        name: "readers",
        parts: &["quants", "other teams"],
        groups: &[("readers-", Operation::Read)],
        own_topics: &[],
    },
    // Apicurio, which keeps the schemas in topics of its own.
    Principal {
        name: "registry",
        parts: &[],
        groups: &[("apicurio-", Operation::Read)],
        own_topics: &["kafkasql-journal", "kafkasql-snapshots", "registry-events"],
    },
];

/// Who may do everything with the topics of the catalogue.
const OPERATORS: &str = "operators";

/// Who writes the ticks of an inbox: the process that owns it.
const CLOCK: &str = "clock";

/// What may be done. Whoever may read or write may describe, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// See that it is there.
    Describe,
    /// Read; of a group: be a member, and commit.
    Read,
    /// Write.
    Write,
    /// Make it.
    Create,
    /// Everything: make, alter, read, write.
    All,
}

impl Operation {
    /// As Kafka's tools call it.
    fn name(self) -> &'static str {
        match self {
            Self::Describe => "Describe",
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Create => "Create",
            Self::All => "All",
        }
    }
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

/// The names of all principals.
pub fn principals() -> impl Iterator<Item = &'static str> {
    PRINCIPALS.iter().map(|principal| principal.name)
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
        .flat_map(|principal| principal.parts.iter().map(|part| (*part, principal.name)))
        .collect();
    for topic in all() {
        let resource = || Resource::Topic(topic.name.clone());
        for writer in &topic.writers {
            let principal = principal_of(&parts, topic, writer);
            if principal != OPERATORS {
                grant(principal, resource(), Operation::Write);
            }
            // What operators do over HTTP, the ingress writes for them. What else is theirs they do with the tool.
            if writer == "operators" && topic.kind == Kind::Inbox {
                grant("ingress", resource(), Operation::Write);
            }
        }
        for reader in &topic.readers {
            let principal = principal_of(&parts, topic, reader);
            if principal != OPERATORS {
                grant(principal, resource(), Operation::Read);
            }
        }
        grant(OPERATORS, resource(), Operation::All);
    }
    for principal in &PRINCIPALS {
        for (group, operation) in principal.groups {
            grant(principal.name, Resource::Groups((*group).to_owned()), *operation);
        }
        for topic in principal.own_topics {
            for operation in [Operation::Create, Operation::Write, Operation::Read] {
                grant(principal.name, Resource::Topic((*topic).to_owned()), operation);
            }
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
        let operation = self.operation.name();
        write!(
            formatter,
            "--add --force --allow-principal User:{} --operation {operation}",
            self.principal
        )?;
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
            "--add --force --allow-principal User:ingress --operation Read --topic replies",
            "--add --force --allow-principal User:settlement --operation Read --group brokerx-settlement \
             --resource-pattern-type prefixed",
            "--add --force --allow-principal User:operators --operation All --topic trades",
        ] {
            assert!(lines.iter().any(|it| it == line), "{line} is not in {lines:#?}");
        }
    }
}
